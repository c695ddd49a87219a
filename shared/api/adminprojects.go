package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// projectBody is what POST and PATCH of a project take.
type projectBody struct {
	ID      json.RawMessage `json:"id"`
	Name    json.RawMessage `json:"name"`
	Budgets json.RawMessage `json:"budgets"`
}

func (b *projectBody) newProject(now time.Time) (admission.Project, error) {
	if rawjson.IsNull(b.ID) {
		return admission.Project{}, fault.Missing("id")
	}
	id, _ := rawjson.String(b.ID)
	if err := admission.CheckProjectID("id", id); err != nil {
		return admission.Project{}, err
	}
	p := admission.NewProject(id)
	p.Created = now.UTC()
	return b.patch(p)
}

// patch returns p with what the body names changed.
func (b *projectBody) patch(p admission.Project) (admission.Project, error) {
	if b.ID != nil {
		if id, _ := rawjson.String(b.ID); id != p.ID {
			return p, fault.Field("id", "A project's 'id' cannot be changed.")
		}
	}
	if err := optional("name", b.Name, 256, &p.Name); err != nil {
		return p, err
	}
	if b.Budgets == nil {
		return p, nil
	}
	day, month, err := budgets(b.Budgets)
	if err != nil {
		return p, err
	}
	if day < usage.None {
		return p, fault.Field("budgets", "A project's budget is per month: 'budgets' takes {\"period\":\"month\",\"usd\":number}.")
	}
	p.Month = month
	return p, nil
}

type projectObject struct {
	Object   string         `json:"object"`
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Created  *stamp         `json:"created_at"` // null: there is one because a user is in it
	Budgets  []budgetObject `json:"budgets"`
	Spent    monthObject    `json:"spent"`
	Reserved usage.Nano     `json:"reserved_usd"` // by open requests of this month
	Count    int            `json:"member_count"`
	Members  *[]string      `json:"members,omitempty"` // not in lists
}

type monthObject struct {
	Month usage.Nano `json:"month_usd"`
}

func showProject(p admission.ProjectAccount, now time.Time) projectObject {
	month := admission.Month(now)
	o := projectObject{Object: "project", ID: p.ID, Name: p.Name, Budgets: []budgetObject{}, Spent: monthObject{p.Spent[month]}, Reserved: p.Reserved[month],
		Count: len(p.Members)}
	members := append([]string{}, p.Members...)
	o.Members = &members
	if !p.Created.IsZero() {
		o.Created = &stamp{p.Created}
	}
	if p.Month < usage.None {
		o.Budgets = append(o.Budgets, budgetObject{"month", p.Month, p.Spent[month], p.Left(now)})
	}
	return o
}

func (s *Server) createProject(v *visit) error {
	var b projectBody
	if err := v.decode(&b); err != nil {
		return err
	}
	p, err := b.newProject(time.Now())
	if err != nil {
		return err
	}
	a, err := s.Projects.CreateProject(v.r.Context(), p)
	if err != nil {
		return err
	}
	return v.json(http.StatusCreated, showProject(a, time.Now()))
}

func (s *Server) listProjects(v *visit) error {
	limit, err := pageLimit(v, pageSize, maxPage)
	if err != nil {
		return err
	}
	list, err := s.Projects.ListProjects(v.r.Context(), after(v), limit+1)
	if err != nil {
		return err
	}
	now := time.Now()
	show := func(p admission.ProjectAccount) projectObject {
		o := showProject(p, now)
		o.Members = nil
		return o
	}
	return v.list(page(list, limit, show, func(o projectObject) string { return o.ID }))
}

func (s *Server) getProject(v *visit) error {
	p, err := s.Projects.Project(v.r.Context(), v.r.PathValue("id"))
	if err != nil {
		return err
	}
	return v.json(http.StatusOK, showProject(p, time.Now()))
}

// patchProject changes what the body names, on top of others' changes.
func (s *Server) patchProject(v *visit) error {
	var b projectBody
	if err := v.decode(&b); err != nil {
		return err
	}
	return retryConflict(func() error {
		seen, err := s.Projects.Project(v.r.Context(), v.r.PathValue("id"))
		if err != nil {
			return err
		}
		p, err := b.patch(seen.Project)
		if err != nil {
			return err
		}
		a, err := s.Projects.UpdateProject(v.r.Context(), seen, p)
		if err != nil {
			return err
		}
		return v.json(http.StatusOK, showProject(a, time.Now()))
	})
}

func (s *Server) deleteProject(v *visit) error {
	id := v.r.PathValue("id")
	if err := s.Projects.DeleteProject(v.r.Context(), id); err != nil {
		return err
	}
	return v.json(http.StatusOK, map[string]any{"object": "project.deleted", "id": id, "deleted": true})
}

// retryConflict runs a change again that somebody else's came before: a patch
// says nothing about the fields that it does not name.
func retryConflict(change func() error) error {
	for try := 0; ; try++ {
		err := change()
		if err == nil || fault.As(err).Kind != fault.Conflict || try == 4 {
			return err
		}
	}
}
