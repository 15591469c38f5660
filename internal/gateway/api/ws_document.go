package api

import (
	"net/http"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// eventKind is what a client may hear.
type eventKind struct {
	name, summary string
	shape         reflect.Type
}

// eventKinds are all of them, answers to commands included.
var eventKinds = []eventKind{
	{"ready", "The first event: how things are.", reflect.TypeFor[ready]()},
	{"message.new", "A message.", reflect.TypeFor[messageNew]()},
	{"message.changed", "A message was edited or deleted, somebody reacted to it, or what it shows was deleted or replaced.", reflect.TypeFor[messageChanged]()},
	{"conversation.stale", "More has changed than is told one by one.", reflect.TypeFor[conversationStale]()},
	{"conversation.read", "A member, or the user on another device, has read on.", reflect.TypeFor[conversationRead]()},
	{"conversation.joined", "The user is in a room now.", reflect.TypeFor[conversationJoined]()},
	{"conversation.left", "The user is in a room no longer.", reflect.TypeFor[conversationLeft]()},
	{"room.changed", "A room has another name or topic, or is now public or private.", reflect.TypeFor[roomChanged]()},
	{"member.joined", "Somebody else is in a room now.", reflect.TypeFor[memberJoined]()},
	{"member.left", "Somebody else is in a room no longer.", reflect.TypeFor[memberLeft]()},
	{"member.changed", "A member has another role, or was muted or may speak again.", reflect.TypeFor[memberChanged]()},
	{"typing", "Somebody is writing something.", reflect.TypeFor[typingEvent]()},
	{"presence", "A friend came online, or went.", reflect.TypeFor[presenceChanged]()},
	{"contact.requested", "Somebody asks to become a friend.", reflect.TypeFor[contactRequested]()},
	{"contact.accepted", "Somebody has accepted a request.", reflect.TypeFor[contactAccepted]()},
	{"contacts.changed", "The user's friends, requests, remarks or blocks have changed.", reflect.TypeFor[contactsChanged]()},
	{"report.filed", "Somebody reported something to those who administer.", reflect.TypeFor[reportFiled]()},
	{"closing", "The server closes the connection.", reflect.TypeFor[closing]()},
	{"sent", "A message is stored.", reflect.TypeFor[sent]()},
	{"ok", "A command is carried out.", reflect.TypeFor[done]()},
	{"pong", "The answer to ping.", reflect.TypeFor[done]()},
	{"error", "A command cannot be carried out.", reflect.TypeFor[failed]()},
}

// describeEvents serves the document of the events.
func (g *Gateway) describeEvents() operation {
	return operation{status: http.StatusOK, in: reflect.TypeFor[nothing](), produces: "application/json", run: func(c *call) error {
		c.w.Header().Set("Cache-Control", "public, max-age=300")
		c.send(http.StatusOK, g.asyncAPI, true)
		return nil
	}}
}

// eventDocument returns the AsyncAPI document of the events and commands.
func eventDocument() []byte {
	d := &describer{schemas: object{}}
	messages, inChannel := object{}, object{}
	asked := commands()
	heard, said := make([]object, 0, len(eventKinds)), make([]object, 0, len(asked))
	add := func(name, key, summary string, shape reflect.Type) object {
		payload := d.structure(shape)
		payload["properties"].(object)["type"] = object{"type": "string", "const": name}
		m := object{"name": name, "title": name, "summary": summary, "contentType": "application/json", "payload": payload}
		messages[key] = m
		inChannel[key] = object{"$ref": "#/components/messages/" + key}
		return object{"$ref": "#/channels/events/messages/" + key}
	}
	for _, e := range eventKinds {
		heard = append(heard, add(e.name, e.name, e.summary, e.shape))
	}
	for _, c := range asked {
		key := "command." + c.name
		said = append(said, add(c.name, key, c.summary, c.in))
		example := exampleOf(c.in)
		example["type"] = c.name
		messages[key].(object)["examples"] = []object{{"payload": example}}
	}
	b, err := json.Marshal(object{
		"asyncapi": "3.0.0",
		"info": object{
			"title": "Parley events", "version": "1",
			"description": "One socket for all live events. Each text frame of the server is a JSON array of events, each frame of the client one command. The channel's messages are the events and commands by themselves.",
		},
		"defaultContentType": "application/json",
		"servers":            object{"parley": object{"host": "localhost:8080", "protocol": "ws"}},
		"channels": object{"events": object{
			"address": EventsPath, "title": "Events", "messages": inChannel,
			"bindings": object{"ws": object{"method": http.MethodGet, "query": object{"type": "object", "properties": object{
				"ticket": object{"type": "string", "description": "from POST " + Prefix + "/ws/tickets"},
				"token":  object{"type": "string", "description": "an access token, where a client can send it in no other way"},
			}}}},
		}},
		"operations": object{
			"events":   object{"action": "send", "channel": object{"$ref": "#/channels/events"}, "summary": "What the server tells.", "messages": heard},
			"commands": object{"action": "receive", "channel": object{"$ref": "#/channels/events"}, "summary": "What a client asks for.", "messages": said},
		},
		"components": object{"messages": messages, "schemas": d.schemas},
	}, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		panic(err) // the types are part of the program
	}
	return append(b, '\n')
}
