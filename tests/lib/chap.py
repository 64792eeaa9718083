# SPDX-License-Identifier: Apache-2.0
"""CHAP (RFC 1994, RFC 7143 section 12.1.3) as an initiator does it, step by step so that a test may go wrong at each."""

import base64
import hashlib
import itertools

from .initiator import OPERATIONAL, SECURITY, LoginError, Session

MD5, SHA1, SHA256, SHA3_256 = 5, 6, 7, 8
HASHES = {MD5: hashlib.md5, SHA1: hashlib.sha1, SHA256: hashlib.sha256, SHA3_256: hashlib.sha3_256}
ALL = (SHA3_256, SHA256, SHA1, MD5)
_identifiers = itertools.count(1)


def to_hex(data):
    return "0x" + data.hex()


def to_base64(data):
    return "0b" + base64.b64encode(data).decode()


def decode(text):
    if text[:2].lower() == "0b":
        return base64.b64decode(text[2:], validate=True)
    assert text[:2].lower() == "0x", f"{text} is no binary value"
    return bytes.fromhex(text[2:])


def respond(algorithm, identifier, secret, challenge):
    return HASHES[algorithm](bytes([identifier]) + secret + challenge).digest()


class Challenge:
    """What the target asks: algorithm, identifier and challenge."""

    def __init__(self, response):
        keys = response.keys()
        self.algorithm = int(keys["CHAP_A"])
        self.identifier = int(keys["CHAP_I"])
        self.bytes = decode(keys["CHAP_C"])

    def answer(self, user, secret, encode=to_hex):
        return {"CHAP_N": user, "CHAP_R": encode(respond(self.algorithm, self.identifier, secret, self.bytes))}


def step(session, keys, transit=False):
    """One request of the security stage; the response, or LoginError."""
    response = session.exchange_login(keys, SECURITY, OPERATIONAL, transit=transit)
    if response.status:
        raise LoginError(response)
    return response


def ask_for_challenge(session, algorithms=ALL, methods="CHAP,None"):
    """From the first PDU to the target's challenge."""
    chosen = step(session, {**session.first_login_keys(), "AuthMethod": methods}, transit=methods == "CHAP,None")
    assert chosen.keys()["AuthMethod"] == "CHAP" and not chosen.transit
    return Challenge(step(session, {"CHAP_A": ",".join(map(str, algorithms))}))


def prove(session, challenge, user, secret, mutual_secret=None, encode=to_hex):
    """Answers the challenge; `mutual_secret`: and makes the target prove that it knows that one.  Returns the user name
    that the target gives itself then."""
    keys = challenge.answer(user, secret, encode)
    own_challenge = hashlib.sha512(repr(keys).encode()).digest()[:24]
    identifier = next(_identifiers) % 256
    if mutual_secret is not None:
        keys.update(CHAP_I=identifier, CHAP_C=encode(own_challenge))
    response = step(session, keys, transit=True)
    assert response.transit and response.nsg == OPERATIONAL
    if mutual_secret is None:
        return None
    proof = decode(response.keys()["CHAP_R"])
    assert proof == respond(challenge.algorithm, identifier, mutual_secret, own_challenge), "the target does not prove itself"
    return response.keys()["CHAP_N"]


def login(address, target, user, secret, mutual_secret=None, algorithms=ALL, encode=to_hex, **options):
    """A session that has authenticated."""
    session = Session(address, target, login=False, **options)
    try:
        session.chap_algorithm, session.target_user = None, None
        challenge = ask_for_challenge(session, algorithms)
        session.chap_algorithm = challenge.algorithm
        session.target_user = prove(session, challenge, user, secret, mutual_secret, encode)
        session.enter_full_feature(session.login_step(session.keys if target else {}))
    except BaseException:
        session.close()
        raise
    return session
