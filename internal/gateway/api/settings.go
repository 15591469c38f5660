package api

import (
	"errors"

	"parley/internal/admin"
)

// option is a key of the configuration.
type option struct {
	Key         string `json:"key"`
	Value       any    `json:"value" doc:"null of a secret"`
	Default     any    `json:"default"`
	Configured  any    `json:"configured" doc:"what the operator's file, environment and options say; null of a secret"`
	Set         bool   `json:"set" doc:"value is what an administrator has set"`
	Changeable  bool   `json:"changeable" doc:"while the server runs"`
	Secret      bool   `json:"secret"`
	Allowed     string `json:"allowed"`
	Description string `json:"description"`
}

func optionOf(v admin.Value) option {
	return option{
		Key: v.Name, Value: v.Value, Default: v.Default, Configured: v.Configured, Set: v.Set, Changeable: v.Apply != nil, Secret: v.Secret,
		Allowed: v.Allowed, Description: v.Doc,
	}
}

type settingsRequest struct {
	Changes map[string]any `json:",embed" example:"{\"account.registration\":\"invite\",\"limits.register\":null}" doc:"keys and their values; null for what is configured"`
}

// docs/protocols/api.md#settings.
func listSettings(c *call, _ nothing) (items[option], error) {
	list, err := c.gw.Admin.Settings(c.ctx(), c.actor)
	return listOf(list, optionOf), err
}

// docs/protocols/api.md#settings.
func changeSettings(c *call, in settingsRequest) (items[option], error) {
	list, err := c.gw.Admin.Change(c.ctx(), c.actor, c.from, in.Changes)
	var wrong *admin.SettingError
	if errors.As(err, &wrong) {
		err = because(err, wrong.Error())
	}
	return listOf(list, optionOf), err
}
