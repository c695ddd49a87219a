package admission

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Project is a group of users, its members, who share a budget. One exists as
// soon as a user is in it; then it has neither name nor budget until somebody
// creates it. The JSON form is for stores.
type Project struct {
	ID      string     `json:"id"`
	Name    string     `json:"name,omitempty"`
	Month   usage.Nano `json:"month_usd"` // budget per UTC month; usage.None if none
	Created time.Time  `json:"created"`   // zero: nobody has created it yet
}

// ProjectAccount is a project's state.
type ProjectAccount struct {
	Project
	Members []string // ids of users, in order
	// Spent and Reserved are by Month, of those months that still matter. Spent
	// includes what users spent who were members then; what they had reserved
	// when they left went with them.
	Spent, Reserved map[string]usage.Nano
	Version         int64 // changes with every UpdateProject
}

// Left is what the budget of t's month still allows.
func (p *ProjectAccount) Left(t time.Time) usage.Nano {
	month := Month(t)
	return p.Month - p.Spent[month] - p.Reserved[month]
}

// Projects holds projects. Membership is User.Project: CreateUser, UpdateUser
// and DeleteUser keep both sides, and a project that is not there yet is made
// without a budget.
//
// What members spend counts from the moment at which they joined, whether or
// not there was a budget. A request that is open when its user changes the
// project is paid by the new one.
type Projects interface {
	// CreateProject fails with fault.Conflict if somebody has created it already.
	CreateProject(ctx context.Context, p Project) (ProjectAccount, error)
	// Project fails with fault.NotFound.
	Project(ctx context.Context, id string) (ProjectAccount, error)
	// ListProjects returns up to limit projects with ids above after, in order.
	ListProjects(ctx context.Context, after string, limit int) ([]ProjectAccount, error)
	// UpdateProject sets name and budget to those of p. When it returns, the new
	// budget holds for every member. If project changed since seen was read, it
	// fails with fault.Conflict; members that came and went and what they spent
	// are no change. It fails with fault.NotFound. If it fails half-way, calling
	// it again with the same p completes it.
	UpdateProject(ctx context.Context, seen ProjectAccount, p Project) (ProjectAccount, error)
	// DeleteProject forgets the project and what it spent. It fails with
	// fault.Conflict while it has members, and with fault.NotFound.
	DeleteProject(ctx context.Context, id string) error
}

// NewProject is the project that a user is in although nobody created it.
func NewProject(id string) Project { return Project{ID: id, Month: usage.None} }

// CheckProjectID fails with fault.Invalid, naming param, unless id may name a
// project: 1 to 64 bytes of text without control characters and slashes that
// does not begin or end with a space.
func CheckProjectID(param, id string) error {
	bad := func(c rune) bool { return unicode.IsControl(c) || c == '/' || c == utf8.RuneError }
	if id == "" || len(id) > 64 || id == "." || id == ".." || strings.TrimSpace(id) != id || strings.ContainsFunc(id, bad) {
		return fault.Field(param, "'%s' must be 1 to 64 bytes of text without control characters, slashes, and spaces at its ends.", param)
	}
	return nil
}
