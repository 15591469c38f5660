"""Chat over the API: python3 api.py HOST[:PORT] NAME PASSWORD [CONVERSATION]. A new name is registered; 1 is the lobby.

Events come over a WebSocket, and what is typed goes out over the same one.
"""
import base64, json, os, socket, struct, sys, threading, urllib.error, urllib.request, uuid

host, _, port = sys.argv[1].partition(":")
port, conversation = int(port or 8080), int(sys.argv[4]) if len(sys.argv) > 4 else 1

def ask(path, **body):
    """Post a body and return the answer's data."""
    request = urllib.request.Request(f"http://{host}:{port}/api/v1{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["data"]

def log_in(name, password):
    """Log in, or make the account if there is none."""
    try: return ask("/auth/login", username=name, password=password)
    except urllib.error.HTTPError as refused: first = json.load(refused)["error"]
    try: return ask("/auth/register", username=name, password=password)
    except urllib.error.HTTPError as refused: second = json.load(refused)["error"]
    sys.exit(f"login: {first['details']}; registration: {second['details']}")

class WebSocket:
    """As much of RFC 6455 as a client needs whose server sends whole messages."""

    def __init__(self, path, token):
        self.sock, self.writing = socket.create_connection((host, port)), threading.Lock()
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall((f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n").encode())
        self.reader = self.sock.makefile("rb")
        status = self.reader.readline().decode()
        while self.reader.readline().strip(): pass
        if " 101 " not in status: sys.exit(status.strip())

    def send(self, kind, payload):
        mask = os.urandom(4)
        size = struct.pack("!B", 0x80 | len(payload)) if len(payload) < 126 else struct.pack("!BH", 0xFE, len(payload))
        with self.writing:
            self.sock.sendall(bytes([0x80 | kind]) + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def command(self, **fields): self.send(1, json.dumps(fields).encode())

    def events(self):
        """Yield what happens. A frame is a list of events."""
        while head := self.reader.read(2):
            size = head[1]
            if size > 125: size = int.from_bytes(self.reader.read(2 if size == 126 else 8), "big")
            kind, payload = head[0] & 15, self.reader.read(size)
            if kind == 1: yield from json.loads(payload)
            elif kind == 9: self.send(10, payload)  # a ping wants a pong
            elif kind == 8: return

token = log_in(sys.argv[2], sys.argv[3])["access_token"]
ws = WebSocket("/ws/events", token)
ws.command(type="start")

def typed():
    for line in sys.stdin:
        if line.strip(): ws.command(type="send", conversation_id=conversation, client_id=str(uuid.uuid4()), text=line.rstrip("\n"))
    ws.send(8, b"\x03\xe8")

for event in ws.events():
    kind, m = event["type"], event.get("message")
    if kind == "ready":
        for c in event["conversations"]: print(f"{c['conversation_id']}: {c['name'] or c['with']['username']!r}", flush=True)
        threading.Thread(target=typed, daemon=True).start()
    elif kind == "message.new": print(f"{m['conversation_id']}: {m['sender']['username']}: {m['text']}", flush=True)
    elif kind == "error": print("not done:", event["error"]["details"], flush=True)
    elif kind == "closing": sys.exit(event["reason"])
