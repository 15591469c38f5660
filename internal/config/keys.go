package config

// key describes one setting. Everything that is known of settings comes from this table: the defaults, which keys
// exist, what they take, and the reference page.
type key struct {
	name   string
	value  any // the default; its type is the type of the key
	rule   rule
	doc    string
	secret bool // may hold a password: no error shows the value
	live   bool // administrators may change it while the server runs
}

// clusterNode has a default that only the machine knows.
const clusterNode = "cluster.node"

// What is more than this is a slip of the pen, and less than what bytes and nanoseconds can count.
const (
	mostMB   = 1 << 30
	mostDays = 36_500
)

var keys = []key{
	{
		name: "data_dir", value: "./data", rule: notEmpty,
		doc: "The folder of everything the server keeps: database, files, keys, outbox.",
	},

	{
		name: "http.addr", value: ":8080", rule: listenAddr,
		doc: "Plain HTTP: the HTTP routes of all client families, the API, the set-up page, `/healthz` and `/readyz`.",
	},
	{
		name: "http.public_url", value: "", rule: webURL,
		doc: "How people reach http.addr from outside: for the set-up link, for links to files in texts, and as the HTTP address that the first page and the list at the start show.",
	},
	{
		name: "http.origins", value: "", rule: origins,
		doc: "Web pages of other origins that may call the API (CORS), as `https://app.example.org`; `*` for all of them.",
	},
	{
		name: "https.addr", value: "", rule: listenAddr,
		doc: "The same as http.addr over TLS, with HTTP/2. It needs one of tls.cert, tls.acme and tls.self_signed. Browsers that ask http.addr for a page are sent here; clients of the old families stay where they are.",
	},
	{
		name: "tls.cert", value: "", rule: anyText,
		doc: "File with the certificate chain for https.addr, PEM. It is read again when it changes.",
	},
	{
		name: "tls.key", value: "", rule: anyText,
		doc: "File with the private key of tls.cert, PEM.",
	},
	{
		name: "tls.acme", value: "", rule: hostNames,
		doc: "The names for which a certificate is got from Let's Encrypt, and renewed (ACME). They must lead here from outside: port 443 to https.addr, or port 80 to http.addr. Using it accepts the authority's terms.",
	},
	{
		name: "tls.self_signed", value: false, rule: toggle,
		doc: "Make a certificate for the addresses of this machine, and keep it in data_dir. Browsers warn of it until somebody accepts it; its fingerprint is printed at the start.",
	},

	{
		name: "llfc.addr", value: ":8090", rule: listenAddr,
		doc: "Framed TCP of the llfc clients.",
	},
	{
		name: "llfc.public_addr", value: "", rule: publicAddr,
		doc: "The address of llfc.addr as clients reach it, given to them at login. Empty: the host they asked, and the port of llfc.addr.",
	},
	{
		name: "llfc.grpc_addr", value: "", rule: notBuilt,
		doc: "gRPC for other chat servers of the llfc family.",
	},
	{
		name: "llfc.rooms", value: true, rule: toggle,
		doc: "Show rooms to llfc clients, as contacts.",
	},

	{
		name: "cs3.addr", value: ":8889", rule: listenAddr,
		doc: "Raw socket of the CS3 clients.",
	},
	{
		name: "cs3.http_addr", value: ":5001", rule: listenAddr,
		doc: "HTTP of the CS3 clients, which http.addr serves as well.",
	},
	{
		name: "cs3.replay", value: false, rule: toggle,
		doc: "Send CS3 clients at login what they missed in the lobby. Their protocol does not know of it.",
	},

	{
		name: "dpc.auth_addr", value: ":9999", rule: listenAddr,
		doc: "Authentication port of the DPC clients.",
	},
	{
		name: "dpc.chat_addr", value: ":9998", rule: listenAddr,
		doc: "Chat port of the DPC clients.",
	},
	{
		name: "dpc.file_addr", value: ":9988", rule: listenAddr,
		doc: "File port of the DPC clients.",
	},
	{
		name: "dpc.listen", value: "login", rule: oneOf("login", "open", "strict"),
		doc: "Who hears the lobby on dpc.chat_addr before saying who it is. login: an address from which somebody logged in within the hour; open: everybody; strict: nobody.",
	},

	{
		name: "openp2p.addr", value: "", rule: notBuilt,
		doc: "Client API and relay of the OpenP2P nodes.",
	},

	{
		name: "media.udp_addr", value: "", rule: notBuilt,
		doc: "UDP port of all meeting media.",
	},
	{
		name: "media.tcp_addr", value: "", rule: notBuilt,
		doc: "TCP port of meeting media, for networks without UDP.",
	},
	{
		name: "media.public_ip", value: "", rule: publicIP,
		doc: "The address of the media ports as seen from outside.",
	},
	{
		name: "turn.addr", value: "", rule: notBuilt,
		doc: "TURN over UDP and TCP.",
	},
	{
		name: "turn.tls_addr", value: "", rule: notBuilt,
		doc: "TURN over TLS.",
	},
	{
		name: "turn.public_ip", value: "", rule: publicIP,
		doc: "The address of the TURN relay as seen from outside.",
	},
	{
		name: "turn.relay_ports", value: "49152-49999", rule: ports,
		doc: "The ports from which the TURN relay sends.",
	},

	{
		name: "store.dsn", value: "sqlite", rule: only("sqlite"), secret: true,
		doc: "The database. sqlite keeps it in data_dir.",
	},
	{
		name: "cluster.redis", value: "", rule: notBuilt, secret: true,
		doc: "The Redis that the nodes of a cluster share.",
	},
	{
		name: clusterNode, value: "parley", rule: nodeName,
		doc: "The name of this server among the nodes of a cluster.",
	},
	{
		name: "blob.url", value: "disk", rule: only("disk"), secret: true,
		doc: "Where uploaded files are kept. disk keeps them in data_dir.",
	},

	{
		name: "mail.smtp", value: "", rule: smtpURL, secret: true,
		doc: "The mail server that takes codes and notices. Empty: each mail is a file in the folder outbox of data_dir. See [Mail](#mail).",
	},
	{
		name: "sms.url", value: "", rule: smsURL, secret: true,
		doc: "The HTTP gateway that sends text messages. Empty: each is a file in the folder outbox of data_dir. See [SMS](#sms).",
	},

	{
		name: "speech.engine", value: "", rule: notBuilt,
		doc: "What turns speech into text.",
	},
	{
		name: "speech.url", value: "", rule: notBuilt, secret: true,
		doc: "The address of the speech engine.",
	},

	{
		name: "metrics.addr", value: "127.0.0.1:9090", rule: listenAddr,
		doc: "Metrics for Prometheus at `/metrics`, and profiles of the running program at `/debug/pprof/`. It asks for no password: keep it on loopback or behind a guard.",
	},
	{
		name: "log.level", value: "info", rule: oneOf("debug", "info", "warn", "error"),
		doc: "The least important lines that are logged.",
	},
	{
		name: "log.format", value: "text", rule: oneOf("text", "json"),
		doc: "The form of the log, which goes to standard error.",
	},

	{
		name: "account.registration", value: "open", rule: oneOf("open", "code", "invite", "closed"), live: true,
		doc: "Who may register, through every client. open: everybody, as the client's protocol lets them; code: with a verification code sent to their e-mail address or, from clients that register by phone, to their phone; invite: with an invitation, which the old protocols cannot carry, so they refuse; closed: nobody.",
	},
	{
		name: "limits.register", value: 100, rule: count(1_000_000), live: true,
		doc: "Registrations an hour from one IP address; 0 for no limit.",
	},
	{
		name: "limits.requests", value: 3000, rule: count(1_000_000), live: true,
		doc: "API requests a minute by one user, and by one network that is not logged in; 0 for no limit.",
	},
	{
		name: "limits.file_mb", value: 10240, rule: count(mostMB), live: true,
		doc: "The largest file that anybody may upload, in MiB; 0 for no limit.",
	},
	{
		name: "limits.quota_mb", value: 51200, rule: count(mostMB), live: true,
		doc: "How much the files of one user may take in all, in MiB; 0 for no limit. The smallest file counts for 4 KiB.",
	},
	{
		name: "files.keep_days", value: 0, rule: count(mostDays), live: true,
		doc: "After how many days shared files are deleted; 0 keeps them.",
	},
	{
		name: "chat.strangers", value: false, rule: toggle, live: true,
		doc: "Let people who are not friends write to each other.",
	},
}

var byName = func() map[string]key {
	m := make(map[string]key, len(keys))
	for _, k := range keys {
		m[k.name] = k
	}
	return m
}()
