"""Chat in the lobby as a CS3 client: python3 cs3.py HOST[:PORT] NAME PASSWORD. A new name is registered."""
import codecs, json, socket, sys, threading, time

host, _, port = sys.argv[1].partition(":")
credentials, tried = {"username": sys.argv[2], "password": sys.argv[3]}, False
sock, writing = socket.create_connection((host, int(port or 8889))), threading.Lock()

def send(kind, **fields):
    with writing:
        sock.sendall(json.dumps({"type": kind, **fields}).encode())

def arriving():
    """Yield each object of the stream; TCP may cut anywhere, inside a character too."""
    parser, utf8, text = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")("replace"), ""
    while data := sock.recv(4096):
        text = (text + utf8.decode(data)).lstrip()
        while text:
            try: obj, end = parser.raw_decode(text)
            except json.JSONDecodeError: break
            text = text[end:].lstrip()
            yield obj

def beat(token):
    while True: time.sleep(300); send("heartbeat", token=token)

def typed(token):
    for line in sys.stdin:
        if line.strip(): send("chat", token=token, message=line.rstrip("\n"))
    sock.shutdown(socket.SHUT_WR)

send("login", **credentials)
for obj in arriving():
    kind, status = obj.get("type"), obj.get("status")
    if kind == "chat" and "user" in obj: print(f"{obj['user']}: {obj['message']}", flush=True)
    elif kind == "login" and status == "success":
        for work in (beat, typed): threading.Thread(target=work, args=(obj["token"],), daemon=True).start()
    elif kind == "login" and status == "error_0" and not tried: tried = True; send("register", **credentials)
    elif kind == "register_1": send("login", **credentials)
    elif kind == "chat" and status != "success": print("not sent:", obj.get("message", status), flush=True)
    elif kind != "ping" and status != "success": sys.exit(obj.get("message", obj))
