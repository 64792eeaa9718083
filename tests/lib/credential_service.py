#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays the services that hand out credentials: STS (web identity), a container's endpoint, IMDSv2.

Listens on a free port of 127.0.0.1 and prints it.  Each service checks what it is sent, as the real ones do.
"""
import http.server
import json
import urllib.parse

TOKEN = "imds-token"
ROLE = "/latest/meta-data/iam/security-credentials/"
EXPIRES = "2099-01-02T03:04:05Z"


def as_json(source):
    return json.dumps({"AccessKeyId": source + "-key", "SecretAccessKey": source + "-secret", "Token": source + "-token",
                       "Expiration": EXPIRES})


class Service(http.server.BaseHTTPRequestHandler):
    def answer(self, text, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        is_good = self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self.answer(TOKEN if is_good else "", 200 if is_good else 400)

    def do_GET(self):
        if self.path == "/container" and self.headers.get("Authorization") == "container-authorization":
            self.answer(as_json("container"))
        elif self.path.startswith(ROLE) and self.headers.get("X-aws-ec2-metadata-token") == TOKEN:
            self.answer("the-role" if self.path == ROLE else as_json("instance"))
        else:
            self.answer("", 401)

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if form.get("WebIdentityToken") != ["web+token/="] or form.get("RoleArn") != ["arn:aws:iam::1:role/r"]:
            self.answer("", 403)
            return
        self.answer("<AssumeRoleWithWebIdentityResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'>"
                    "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>web-key</AccessKeyId>"
                    "<SecretAccessKey>web-secret</SecretAccessKey><SessionToken>web-token</SessionToken>"
                    f"<Expiration>{EXPIRES}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
                    "</AssumeRoleWithWebIdentityResponse>")

    def log_message(self, *arguments):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
