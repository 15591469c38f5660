package config

import (
	"bytes"
	"fmt"
	"io"
)

const referenceHead = `# Configuration

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

// WriteReference writes the page that describes every key, in Markdown.
func WriteReference(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(referenceHead)
	for _, k := range keys {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.name, k.shownDefault(), k.rule.allowed, k.doc)
	}
	b.WriteString(referenceMail)
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
