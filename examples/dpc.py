"""A DPC client: python3 dpc.py HOST[:AUTH,CHAT,FILES] COMMAND. The commands:
login NAME PASSWORD · code PHONE · register NAME PASSWORD PHONE CODE [E-MAIL] · chat NAME PASSWORD · list NAME PASSWORD
up NAME PASSWORD FILE|FOLDER · down NAME PASSWORD NAME-IN-LIST (into the current folder; nothing there is replaced)"""
import json, pathlib, socket, sys, threading

def send(sock, **fields):
    data = json.dumps(fields).encode()
    sock.sendall(b"%-15d" % len(data) + data)

def receive(stream):
    """Return the next message, None at the end of the stream."""
    return json.loads(stream.read(int(header))) if (header := stream.read(15)) else None

def ask(port, **fields):
    with socket.create_connection((host, port)) as sock, sock.makefile("rb") as stream:
        send(sock, **fields)
        return receive(stream)

def auth(op, **args): return ["done", "refused", "phone number not good", "code wrong" if op == 2 else "number taken"][ask(auth_port, op=op, args=args)["test"]]

def chat(who):
    auth(0, user_name=who["name"], user_pwd=who["password"])  # so that this address may listen
    with socket.create_connection((host, chat_port)) as sock, sock.makefile("rb") as stream:
        def typed():
            for line in sys.stdin:
                if line.strip(): send(sock, op=0, args=who, news=line.rstrip("\n"))
            sock.shutdown(socket.SHUT_WR)
        threading.Thread(target=typed, daemon=True).start()
        while message := receive(stream): print("not sent" if message.get("test") else message["news"], flush=True)

def upload(who, path):
    path = pathlib.Path(path).resolve()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    with socket.create_connection((host, file_port)) as sock, sock.makefile("rb") as stream:
        broken = False
        try:
            for file in files:
                name = file.relative_to(path).as_posix() if path.is_dir() else path.name
                kind = {"file_type": 1, "file_dirname": path.name} if path.is_dir() else {"file_type": 0}
                send(sock, op=0, args=who, file_name=name, file_size=str(file.stat().st_size), **kind)
                with file.open("rb") as content: sock.sendfile(content)
            sock.shutdown(socket.SHUT_WR)
        except OSError: broken = True  # perhaps it was refused before all was sent
        try: refused = receive(stream)
        except OSError: broken, refused = True, None
        # Only if all was sent is the end of the stream, and nothing before it, the sign of success.
        print("refused" if refused else "broken off" if broken else "done")

def inside(name):
    """Return a path below the current folder, whatever the server says."""
    parts = name.replace("\\", "/").split("/")
    if any(p in ("", ".", "..") or ":" in p for p in parts): sys.exit(f"bad name: {name}")
    return pathlib.Path(*parts)

def save(stream, answer, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    left = int(answer["file_size"])
    with path.open("xb") as out:
        while left:
            if not (data := stream.read(min(left, 1 << 20))): sys.exit(f"{path}: broken off")
            left -= out.write(data)
    print(path)

def download(who, name):
    with socket.create_connection((host, file_port)) as sock, sock.makefile("rb") as stream:
        send(sock, op=1, args=who, look=1, file_name=name)
        while answer := receive(stream):
            if "test" in answer or answer["file_name"] == 400: sys.exit("refused" if "test" in answer else "no such file")
            path = inside(answer["file_name"])
            save(stream, answer, inside(answer["file_dirname"]) / path if answer["file_type"] else path)
            if not answer["file_type"]: break

def listing(who):
    answer = ask(file_port, op=1, args=who, look=0)
    for entry in answer.get("exist_file") or []: print(*entry, sep="  ")
    if "test" in answer: print("refused")

if len(sys.argv) < 4: sys.exit(__doc__)
host, _, ports = sys.argv[1].partition(":")
auth_port, chat_port, file_port = map(int, ports.split(",")) if ports else (9999, 9998, 9988)
command, (first, *rest) = sys.argv[2], sys.argv[3:]
who = {"name": first, "password": rest[0] if rest else ""}
if command == "login": print(auth(0, user_name=first, user_pwd=rest[0]))
elif command == "code": print(auth(1, user_phone=first))
elif command == "register": print(auth(2, **dict(zip(("user_name", "user_pwd", "user_phone", "user_vcode", "user_email"), [first, *rest, ""]))))
elif command == "chat": chat(who)
elif command == "list": listing(who)
elif command == "up": upload(who, rest[1])
elif command == "down": download(who, rest[1])
