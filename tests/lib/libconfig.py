# SPDX-License-Identifier: Apache-2.0
"""Writes configuration files in libconfig's syntax from Python values.

dict: group; list: list; tuple: array; Raw: as it stands (to write what is wrong on purpose).
"""


class Raw(str):
    """Text that goes into the file unchanged."""


def _string(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _value(value, indent):
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if -(1 << 31) <= value < 1 << 31 else f"{value}L"
    if isinstance(value, dict):
        return "{\n" + dumps(value, indent + "\t") + indent + "}"
    if isinstance(value, list):
        return "( " + ", ".join(_value(one, indent) for one in value) + " )"
    if isinstance(value, tuple):
        return "[ " + ", ".join(_value(one, indent) for one in value) + " ]"
    return _string(str(value))


def dumps(settings, indent=""):
    return "".join(f"{indent}{key} = {_value(value, indent)};\n" for key, value in settings.items())
