"""Chat as an llfc client: python3 llfc.py HOST[:PORT] LOGIN PASSWORD UID; then /find NAME, /add UID, /accept UID."""
import json, socket, struct, sys, threading, time, urllib.request, uuid

gate, login, password, peer = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
gate = gate if ":" in gate else gate + ":8080"
body = json.dumps({"email": login, "passwd": password}).encode()
request = urllib.request.Request(f"http://{gate}/user_login", body, {"Content-Type": "application/json"})
answer = json.load(urllib.request.urlopen(request))
if answer["error"]: sys.exit(f"login failed: error {answer['error']}")
me = answer["uid"]
sock = socket.create_connection((answer["host"], int(answer["port"])))
stream, writing = sock.makefile("rb"), threading.Lock()

def send(number, **fields):
    data = json.dumps(fields).encode()
    with writing: sock.sendall(struct.pack(">HH", number, len(data)) + data)

def beat():
    while True: time.sleep(10); send(1023, fromuid=me)

def typed():
    for line in map(str.strip, sys.stdin):
        word, _, rest = line.partition(" ")
        if word == "/find": send(1007, uid=rest)
        elif word == "/add": send(1009, uid=me, applyname=login, bakname="", touid=int(rest))
        elif word == "/accept": send(1013, fromuid=me, touid=int(rest), back="")
        elif line: send(1017, fromuid=me, touid=peer, text_array=[{"msgid": str(uuid.uuid4()), "content": line}])
    sock.shutdown(socket.SHUT_WR)

send(1005, uid=me, token=answer["token"])
while len(head := stream.read(4)) == 4:
    number, length = struct.unpack(">HH", head)
    obj = json.loads(stream.read(length))
    if number == 1006:
        if obj["error"]: sys.exit(f"login failed: error {obj['error']}")
        print("friends:", {f["uid"]: f["back"] or f["nick"] or f["name"] for f in obj["friend_list"]})
        print("asking:", {a["uid"]: a["name"] for a in obj["apply_list"]}, flush=True)
        for work in (beat, typed): threading.Thread(target=work, daemon=True).start()
    elif number == 1019: [print(f"{obj['fromuid']}: {t['content']}", flush=True) for t in obj["text_array"]]
    elif obj["error"] or number not in (1018, 1024): print(number, obj, flush=True)
