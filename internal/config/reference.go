package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

var referenceHead = `# Configuration

<!-- Made from the table of keys in internal/config by ` + "`go test ./internal/config -update`" + `. Do not edit. -->

A setting has its default, unless one of these sources gives it another value. Each overrides those before it:

1. the YAML file named by ` + "`--config`" + `,
2. the environment: the variable of a key is ` + "`PARLEY_`" + ` and the key in capitals, with two underscores for the dot.
   ` + "`http.public_url` is `PARLEY_HTTP__PUBLIC_URL`" + `,
3. ` + "`--set key=value`" + `, as often as needed; of two for one key the last counts.

` + "```yaml" + `
http:
  addr: ":8080"
account:
  registration: closed
log.level: debug # a key may also be written in one piece
` + "```" + `

A key that does not exist is an error, from whichever source, and so is a value that a key does not take. All faults are
told at once, each with its source; values that may hold a password are not shown. Every variable that begins with
` + "`PARLEY_`" + ` has to name a key: in Kubernetes a service called ` + "`parley`" + ` makes such variables in each pod, unless
` + "`enableServiceLinks: false`" + ` stands in the pod's description.

An empty address turns a listener off. Keys of parts that are not built yet are known already, but take only the value that
leaves the part out.

## Settings that administrators change

Some settings can also be changed while the server runs, by administrators over the [API](../protocols/api.md#settings): ` + liveKeys() + `.
What they set is kept in the database and wins over all the sources above, until they reset it. ` + "`parley check`" + ` tells of it, and so does
the log at the start.

## Keys

| Key | Default | Allowed | |
|---|---|---|---|
`

const referenceMail = `
## Mail

` + "`mail.smtp`" + ` is ` + "`smtp://user:password@host:port?from=address`, or `smtps://…`" + ` for TLS from the first byte. The port defaults to
587 and 465. Special characters in the user and the password are percent-encoded (` + "`@` is `%40`" + `). Options after the question mark:

| Option | Default | |
|---|---|---|
| from | the user, if it is an address | the sender, ` + "`parley@example.org`" + `; with a name, ` + "`Parley+%3Cparley@example.org%3E`" + ` |
| tls | required with a user, otherwise opportunistic | ` + "`smtp://`" + ` only: ` + "`required`, `opportunistic` (STARTTLS where it is offered) or `none`" + ` |
| timeout | 20s | how long one mail may take |
| helo | the host name | the name this server gives itself |

The server's certificate is checked in every case. A password goes over an unencrypted connection only to the machine itself.
`

const referenceSMS = `
## SMS

` + "`sms.url`" + ` is the address of a gateway for text messages, with placeholders: ` + "`{to}`" + ` is the phone number, ` + "`{text}`" + ` the text
in Chinese and English, ` + "`{code}`" + ` the code alone, for gateways with texts of their own. What is put in is escaped as its place asks
for. ` + "`{phone}`, `{mobile}` and `{number}`" + ` mean the same as ` + "`{to}`, `{message}` and `{content}`" + ` the same as
` + "`{text}`" + `. Each message is one request; the gateway has taken it if the status of its answer is 200 to 299.

| Request | ` + "`sms.url`" + ` |
|---|---|
| GET | ` + "`https://sms.example/send?key=KEY&to={to}&text={text}`" + ` |
| GET, with a text of your own | ` + "`https://sms.example/send?key=KEY&to={to}&text=【Name】您的验证码是{code}`" + ` |
| POST of the query as a form, with Basic authentication | ` + "`https://user:password@sms.example/send?To={to}&Body={text}#post=form`" + ` |
| POST of the query as a JSON object of texts | ` + "`https://sms.example/send?mobile={to}&code={code}#post=json&header=Authorization:Bearer%20KEY`" + ` |
| POST of any JSON | ` + "`https://sms.example/send#post={\"to\":[\"{to}\"],\"content\":\"{text}\"}`" + ` |

What stands after ` + "`#`" + ` are options, separated by ` + "`&`" + `:

| Option | |
|---|---|
| post | ` + "`form`, `json`" + ` or a JSON text, whose strings may hold placeholders. Without it the request is a GET |
| header | ` + "`Name:Value`" + `, a header of the request; as often as needed |
| ok | a regular expression (RE2) that the first 64 KiB of the answer must match, for gateways that answer 200 to everything: ` + "`ok=\"code\":0\\b`, `ok=^0$`" + ` |

In options ` + "`%` is `%25`, `&` is `%26` and `#` is `%23`" + `; a plus sign is a plus sign. In the user, the password and the query special
characters are percent-encoded as in every URL.

A message may take ten seconds. Redirects are not followed, and the certificate of an ` + "`https://`" + ` gateway is checked in every case.
Nothing encrypts the password and the codes on the way to an ` + "`http://`" + ` one.
`

// WriteReference writes the page that describes every key, in Markdown.
func WriteReference(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(referenceHead)
	for _, k := range keys {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.name, k.shownDefault(), k.rule.allowed, k.doc)
	}
	b.WriteString(referenceMail)
	b.WriteString(referenceSMS)
	_, err := w.Write(b.Bytes())
	return err
}

func (k key) shownDefault() string {
	switch {
	case k.name == clusterNode:
		return "the host name"
	case k.value == "":
		return ""
	}
	return fmt.Sprintf("`%v`", k.value)
}

// liveKeys names the keys that can be changed while the server runs.
func liveKeys() string {
	var names []string
	for _, k := range keys {
		if k.live {
			names = append(names, "`"+k.name+"`")
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
