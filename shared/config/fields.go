package config

import (
	"reflect"
	"strings"
)

type field struct {
	env, fallback string
	secret, url   bool
	oneof         []string
	ptr           any
}

func fields(c *Config) []field {
	v := reflect.ValueOf(c).Elem()
	list := make([]field, v.NumField())
	for i := range list {
		tag := v.Type().Field(i).Tag
		list[i] = field{
			env: tag.Get("env"), fallback: tag.Get("default"), secret: tag.Get("secret") != "", url: tag.Get("url") != "",
			oneof: strings.Fields(tag.Get("oneof")), ptr: v.Field(i).Addr().Interface(),
		}
	}
	return list
}

// Variable describes a setting, for documentation tests.
type Variable struct {
	Name, Default string
	Secret        bool
}

// Variables lists every setting in the order of Config's fields.
func Variables() []Variable {
	var list []Variable
	for _, f := range fields(new(Config)) {
		list = append(list, Variable{Name: f.env, Default: f.fallback, Secret: f.secret})
	}
	return list
}
