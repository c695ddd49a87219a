package api

import (
	"reflect"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// memberNames lists the JSON names of a struct's fields.
func memberNames(of any) []string {
	t := reflect.TypeOf(of).Elem()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("json")
	}
	return names
}

type userObject struct {
	Object  string         `json:"object"`
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Project *string        `json:"project"`
	Status  string         `json:"status"`
	Created stamp          `json:"created_at"`
	Models  []string       `json:"models"`
	Limits  limitsObject   `json:"limits"`
	Budgets []budgetObject `json:"budgets"`
	Spent   spentObject    `json:"spent"`
	Leases  leasesObject   `json:"open_leases"`
}

// limitsObject has pointers where null means "no limit".
type limitsObject struct {
	Rate     *float64 `json:"requests_per_second"`
	Burst    int64    `json:"burst"`
	Tokens   *int64   `json:"tokens_per_minute"`
	Parallel int64    `json:"max_parallel"`
}

type budgetObject struct {
	Period    string     `json:"period"`
	USD       usage.Nano `json:"usd"`
	Spent     usage.Nano `json:"spent_usd"`
	Remaining usage.Nano `json:"remaining_usd"` // negative after an overdraft
}

type spentObject struct {
	Day   usage.Nano `json:"day_usd"`
	Month usage.Nano `json:"month_usd"`
}

type leasesObject struct {
	Count    int        `json:"count"`
	Reserved usage.Nano `json:"reserved_usd"`
}

func showUser(a admission.Account, now time.Time) userObject {
	o := userObject{Object: "user", ID: a.ID, Name: a.Name, Status: "suspended", Created: stamp{a.Created}, Models: a.Models,
		Limits:  limitsObject{Burst: a.Burst, Parallel: a.Parallel},
		Budgets: []budgetObject{}, Leases: leasesObject{Count: len(a.Leases), Reserved: a.Reserved()}}
	if a.Project != "" {
		o.Project = &a.Project
	}
	if a.Active {
		o.Status = "active"
	}
	if a.Rate > 0 {
		o.Limits.Rate = &a.Rate
	}
	if a.Tokens < admission.NoTokenLimit {
		o.Limits.Tokens = &a.Tokens
	}
	o.Spent.Day, o.Spent.Month = a.Spent(now)
	day, month := a.Left(now)
	if a.Day < usage.None {
		o.Budgets = append(o.Budgets, budgetObject{"day", a.Day, o.Spent.Day, day})
	}
	if a.Month < usage.None {
		o.Budgets = append(o.Budgets, budgetObject{"month", a.Month, o.Spent.Month, month})
	}
	return o
}

type keyObject struct {
	Object  string   `json:"object"`
	ID      string   `json:"id"`
	Key     string   `json:"key,omitempty"` // shown once, when made
	Name    string   `json:"name"`
	Hint    string   `json:"hint"` // the key's last four characters
	Status  string   `json:"status"`
	Scopes  []string `json:"scopes"`
	Models  []string `json:"models"`
	Created stamp    `json:"created_at"`
	Expires *stamp   `json:"expires_at"`
}

func showKey(k admission.Key, now time.Time) keyObject {
	o := keyObject{Object: "key", ID: k.ID, Name: k.Name, Hint: k.Hint, Status: "active", Scopes: k.Scopes, Models: k.Models, Created: stamp{k.Created}}
	if !k.Expires.IsZero() {
		o.Expires = &stamp{k.Expires}
		if !k.Expires.After(now) {
			o.Status = "expired"
		}
	}
	if k.Revoked {
		o.Status = "revoked"
	}
	return o
}
