"""What a test starts instead of Python: has the warm one fork, and stands for that process.

It lends its streams, passes signals on, and ends as the process ends; if it is killed, so is the
process.
"""

import os
import signal
import socket
import sys

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    address, *arguments = sys.argv[1:]
    here = os.getcwd()  # noqa: PTH109 - light
    request = repr((arguments, here, dict(os.environ))).encode("utf-8", "surrogateescape")
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"\0{address}")
    socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(request)
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: server.sendall(bytes([number])))
    answer = server.recv(8)
    if len(answer) < 8:
        sys.exit("the warm Python has gone")
    code = int.from_bytes(answer, "big", signed=True)
    if code < 0:  # ended by a signal
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


main()
