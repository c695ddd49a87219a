package sdktest_test

import (
	"fmt"
	"strings"
)

// tutor is a template with everything in it.
const tutor = `{"name":"tutor","system":"You teach {{.level}}s & others.","user":"Explain {{.topic}}.{{if .words}} Use{{range $i, $w := .words}}{{if $i}},{{end}} {{$w}}{{end}}.{{end}}",
	"examples":[{"user":"Explain lists.","assistant":"A list keeps things in <order>."}],
	"variables":[{"name":"topic","type":"string","required":true,"max_length":200},{"name":"level","type":"string","default":"beginner"},{"name":"words","type":"array","required":false}],
	"model":"gpt-4o-mini","parameters":{"temperature":0.2,"max_completion_tokens":300},"labels":["production"],"description":"For pupils"}`

// tutorFile is one as a file.
const tutorFile = `---
name: filed
model: gpt-4o-mini
variables:
  - name: topic
---

# system

You teach.

# user

Explain lists.

# assistant

A list keeps things in order.

# user

Explain {{.topic}}, please.
`

func sameTemplates() (k talk) {
	const path = "/ai/templates"
	second := strings.Replace(tutor, "Explain {{.topic}}.", "Do explain {{.topic}}!", 1)
	k.does(200, "no templates yet", "", "GET", path, "")
	k.does(201, "a template", "", "POST", path, tutor)
	k.does(200, "the same template", "", "POST", path, tutor)
	k.does(201, "its second version", "", "POST", path, strings.Replace(second, `"production"`, `"staging","next"`, 1))
	k.does(201, "a template as a file", "", "POST", path+"?labels=staging", tutorFile, "Content-Type", "text/markdown")
	k.does(200, "the same file", "", "POST", path+"?labels=live,staging", tutorFile, "Content-Type", "text/markdown")
	k.does(201, "bob's template of that name", "bob", "POST", path, `{"name":"tutor","user":"Bob's {{.topic}}","variables":[{"name":"topic"}]}`)
	for _, query := range []string{"", "?limit=1", "?limit=1&after=filed", "?after=tutor", "?limit=0", "?limit=x", "?after=a%20b"} {
		k.add("templates"+query, "", "GET", path+query, "")
	}
	for _, query := range []string{"", "?version=1", "?version=production", "?version=latest", "?version=9", "?version=nothing", "?version=-1", "?version=a%20b"} {
		k.add("template"+query, "", "GET", path+"/tutor"+query, "")
		k.add("template as a file"+query, "", "GET", path+"/tutor/export"+query, "")
	}
	for _, query := range []string{"", "?limit=1", "?limit=1&after=2", "?after=1", "?after=x"} {
		k.add("versions"+query, "", "GET", path+"/tutor/versions"+query, "")
	}
	for i, body := range []string{`{"variables":{"topic":"maps"}}`, `{"variables":{"topic":"maps","words":["a","b"],"level":"pro"},"version":"production"}`, `{"variables":{"topic":"maps"},"version":1}`,
		`{"variables":{}}`, `{"variables":{"topic":7}}`, `{"variables":{"topic":"x","more":1}}`, `{"variables":{"topic":"x"},"version":"none"}`, `{"variables":{"topic":"x"},"version":0}`, `{"variables":7}`, `{"x":1}`, ``, `{`, `[]`,
		`{"variables":{"topic":"` + strings.Repeat("x", 201) + `"}}`} {
		k.add(fmt.Sprintf("render %d", i), "", "POST", path+"/tutor/render", body)
	}
	for i, body := range []string{`{"version":1}`, `{"version":2}`, `{"version":3}`, `{"version":0}`, `{"version":"production"}`, `{}`, ``, `{"x":1}`, `[]`} {
		k.add(fmt.Sprintf("label %d", i), "", "POST", path+"/tutor/labels/production", body)
	}
	k.add("label latest", "", "POST", path+"/tutor/labels/latest", `{"version":1}`)
	k.add("no such label", "", "DELETE", path+"/tutor/labels/nothing", "")
	k.does(200, "unlabel", "", "DELETE", path+"/tutor/labels/next", "")
	k.does(200, "roll back", "", "POST", path+"/tutor/labels/production", `{"version":1}`)
	for i, body := range []string{``, `{`, `[]`, `{}`, `{"name":"x"}`, `{"name":"9","user":"x"}`, `{"name":"a b","user":"x"}`, `{"name":"x","user":"{{.nothing}}"}`, `{"name":"x","user":"{{if}}"}`, `{"name":"x","user":"{{call .x}}"}`,
		`{"name":"x","user":7}`, `{"name":"x","user":"y","unknown":1}`, `{"name":"x","user":"y","variables":[{"name":"a","type":"date"}]}`, `{"name":"x","user":"y","variables":[{"name":"a","default":7}]}`,
		`{"name":"x","user":"y","parameters":{"model":"z"}}`, `{"name":"x","user":"y","labels":["latest"]}`, `{"name":"x","user":"y","examples":[{"user":"z"}]}`, `{"name":"x","user":"` + strings.Repeat("x", 300<<10) + `"}`} {
		k.add(fmt.Sprintf("wrong template %d", i), "", "POST", path, body)
	}
	k.add("wrong file", "", "POST", path, "---\nname: x\n---\n\n# nobody\n\ny\n", "Content-Type", "text/markdown")
	k.add("wrong YAML", "", "POST", path, "name: [", "Content-Type", "application/yaml")
	k.does(201, "YAML", "", "POST", path, "name: yaml\nuser: Hello\n", "Content-Type", "application/yaml")
	for _, method := range []string{"GET", "DELETE"} {
		k.does(404, "bob: "+method+" ana's template", "bob", method, path+"/filed", "")
	}
	k.does(200, "bob's templates", "bob", "GET", path, "")
	k.does(404, "nobody's template", "", "GET", path+"/nothing", "")
	k.does(404, "nobody's usage", "", "GET", path+"/nothing/usage", "")
	const chat = "/ai/chat/completions"
	for i, body := range []string{`{"name":"tutor","variables":{"topic":"the same"}}`, `{"name":"tutor","version":"production","variables":{"topic":"the same","words":["one","two"]}}`, `{"name":"filed","version":"live","variables":{"topic":"files"}}`,
		`{"name":"tutor","variables":{}}`, `{"name":"nothing"}`, `{"name":"tutor","version":9,"variables":{"topic":"x"}}`, `{"name":"tutor","variables":{"topic":"x","y":1}}`, `{"name":7}`, `{}`, `7`, `{"name":"tutor","x":1}`} {
		k.add(fmt.Sprintf("chat by template %d", i), "", "POST", chat, `{"gateway":{"template":`+body+`}}`)
		k.add(fmt.Sprintf("chat by template %d, more", i), "", "POST", chat, ask("anthropic/claude-sonnet-4-5", "And this as well", `,"temperature":0.5,"stream":true,"stream_options":{"include_usage":true},"gateway":{"template":`+body+`}`))
	}
	k.does(404, "bob: chat by ana's template", "bob", "POST", chat, `{"gateway":{"template":{"name":"filed","variables":{"topic":"x"}}}}`)
	for _, query := range []string{"", "?from=2020-01-01&to=2020-01-31", "?from=2020-01-01&to=2020-12-31", "?from=x"} {
		k.add("usage"+query, "", "GET", path+"/tutor/usage"+query, "")
	}
	k.does(200, "delete the template", "", "DELETE", path+"/tutor", "")
	k.does(404, "delete it again", "", "DELETE", path+"/tutor", "")
	k.does(404, "versions of a deleted template", "", "GET", path+"/tutor/versions", "")
	k.does(200, "bob's is still there", "bob", "GET", path+"/tutor", "")
	k.does(201, "the template again", "", "POST", path, tutor) // numbers are never used again
	return k
}

func sameConversations() (k talk) {
	const path, chat = "/ai/conversations", "/ai/chat/completions"
	one, messages := path+"/{conv}", path+"/{conv}/messages"
	k.does(200, "no conversations yet", "", "GET", path, "")
	k.does(201, "a conversation", "", "POST", path, `{"title":"Maps ✓","metadata":{"course":"geo","n":1.50},"ttl_seconds":86400,"messages":[{"role":"user","content":"What is a <map>?"},{"role":"assistant","content":"Paper & ink."}]}`).keep = "conv=id"
	k.does(201, "an empty conversation", "", "POST", path, `{}`).keep = "empty=id"
	k.does(201, "bob's conversation", "bob", "POST", path, `{"title":"Bob's"}`).keep = "bobs=id"
	for i, body := range []string{`{`, `[]`, `{"title":7}`, `{"title":"` + strings.Repeat("x", 257) + `"}`, `{"ttl_seconds":59}`, `{"ttl_seconds":"long"}`, `{"metadata":7}`, `{"messages":[]}`, `{"messages":[{"role":"king","content":"x"}]}`,
		`{"messages":[{"role":"user"}]}`, `{"messages":7}`, `{"unknown":1}`, `{"messages":[{"role":"user","content":"` + strings.Repeat("x", 270<<10) + `"}]}`} {
		k.add(fmt.Sprintf("wrong conversation %d", i), "", "POST", path, body)
		if i != 3 && i != 4 && i != 5 && i != 6 {
			k.add(fmt.Sprintf("wrong messages %d", i), "", "POST", messages, body)
		}
	}
	k.does(201, "append", "", "POST", messages, `{"messages":[{"role":"user","content":[{"type":"text","text":"And a globe?"}],"name":"ana"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":"round"},{"role":"assistant","content":"Round."}]}`)
	for _, query := range []string{"", "?order=asc", "?limit=2", "?limit=2&order=asc", "?limit=0", "?limit=101", "?order=up", "?after=nothing"} {
		x := k.add("messages"+query, "", "GET", messages+query, "")
		switch query {
		case "?limit=2":
			x.keep = "newest=data.id"
		case "?limit=2&order=asc":
			x.keep = "oldest=data.id"
		}
	}
	k.does(200, "messages after the newest", "", "GET", messages+"?limit=2&after={newest}", "")
	k.does(200, "messages after the oldest", "", "GET", messages+"?limit=3&order=asc&after={oldest}", "")
	for _, query := range []string{"", "?limit=1", "?after={conv}", "?limit=x"} {
		k.add("conversations"+query, "", "GET", path+query, "")
	}
	k.does(200, "conversation", "", "GET", one, "")
	k.does(404, "no such conversation", "", "GET", path+"/conv_nothing", "")
	k.does(404, "nobody's messages", "", "GET", path+"/nothing/messages", "")
	k.does(200, "chat in a conversation", "", "POST", chat, ask("gpt-4o-mini", "Which one is older?", `,"gateway":{"conversation":"{conv}"}`))
	k.does(200, "messages with the answer", "", "GET", messages, "")
	k.does(200, "chat in a conversation, streamed", "", "POST", chat, ask("anthropic/claude-sonnet-4-5", "And which is larger?", `,"stream":true,"stream_options":{"include_usage":true},"gateway":{"conversation":"{conv}"}`))
	k.does(200, "messages with both answers", "", "GET", messages, "")
	k.does(200, "chat in an empty conversation", "", "POST", chat, ask("gemini/gemini-2.5-flash", "Anybody here?", `,"gateway":{"conversation":"{empty}"}`))
	k.does(200, "a template in a conversation", "", "POST", chat, `{"gateway":{"conversation":"{conv}","template":{"name":"filed","variables":{"topic":"turns"}}}}`)
	k.add("a failing chat in a conversation", "", "POST", chat, ask("gpt-4o-mini", "It is #fail-400 here", `,"gateway":{"conversation":"{conv}"}`))
	k.add("a broken chat in a conversation", "", "POST", chat, ask("gpt-4o-mini", "It is broken by #cut here", `,"stream":true,"gateway":{"conversation":"{conv}"}`))
	k.does(200, "messages without the failures", "", "GET", messages, "")
	k.does(400, "chat in what is no conversation", "", "POST", chat, ask("gpt-4o-mini", canary, `,"gateway":{"conversation":"conv_nothing"}`))
	k.add("chat in a number", "", "POST", chat, ask("gpt-4o-mini", canary, `,"gateway":{"conversation":7}`))
	for _, x := range [][2]string{{"GET", one}, {"GET", messages}, {"DELETE", one}} {
		k.does(404, "bob: "+x[0]+" "+x[1], "bob", x[0], x[1], "")
	}
	k.does(404, "bob: append", "bob", "POST", messages, `{"messages":[{"role":"user","content":"x"}]}`)
	k.does(404, "bob: chat in ana's conversation", "bob", "POST", chat, ask("gpt-4o-mini", canary, `,"gateway":{"conversation":"{conv}"}`))
	k.does(200, "delete the conversation", "", "DELETE", one, "")
	k.does(404, "delete the conversation again", "", "DELETE", one, "")
	k.does(404, "deleted messages", "", "GET", messages, "")
	k.does(404, "chat in a deleted conversation", "", "POST", chat, ask("gpt-4o-mini", canary, `,"gateway":{"conversation":"{conv}"}`))
	return k
}

// samePrompts is prompts that are too long, or untidy.
func samePrompts() (k talk) {
	const chat, usage = "/ai/chat/completions", `,"stream":true,"stream_options":{"include_usage":true}`
	long := func(model, more string) string {
		var turns []any
		for i := range 12 {
			turns = append(turns, object{"role": "user", "content": fmt.Sprintf("Question %d. %s", i, strings.Repeat(fmt.Sprintf("The %d. town has walls. ", i), 150))}, object{"role": "assistant", "content": fmt.Sprintf("Town %d is noted.", i)})
		}
		turns = append(turns, object{"role": "user", "content": "What is town 3 like?"})
		return fmt.Sprintf(`{"model":%q,"max_tokens":200,"messages":%s%s}`, model, toJSON(turns), more)
	}
	for _, strategy := range []string{`"error"`, `"truncate"`, `"summarize"`, `"guess"`, `7`, `{}`} {
		k.add("too long, "+strategy, "", "POST", chat, long("gpt-4", `,"gateway":{"context":`+strategy+`}`))
		k.add("too long, streamed, "+strategy, "", "POST", chat, long("gpt-4", usage+`,"gateway":{"context":`+strategy+`}`))
		k.add("long enough, "+strategy, "", "POST", chat, long("anthropic/claude-sonnet-4-5", `,"gateway":{"context":`+strategy+`}`))
	}
	k.does(400, "too long", "", "POST", chat, long("gpt-4", `,"gateway":{"context":"error"}`))
	k.does(200, "too long, truncated", "", "POST", chat, long("gpt-4", `,"gateway":{"context":"truncate"}`))
	k.does(200, "too long, summarized", "", "POST", chat, long("gpt-4", `,"gateway":{"context":"summarize"}`))
	untidy := "A paragraph that is said twice, and is long enough to be noticed by whoever looks for such.\n\n\n\n\nAnother     one.\n\nA paragraph that is said twice, and is long enough to be noticed by whoever looks for such.   \n"
	for _, m := range models {
		k.does(200, "untidy, "+m.provider, "", "POST", chat, ask(m.name, untidy, `,"gateway":{"optimize":true}`))
		k.does(200, "untidy, streamed, "+m.provider, "", "POST", chat, ask(m.name, untidy, usage+`,"gateway":{"optimize":true,"context":"error"}`))
	}
	k.add("optimize a number", "", "POST", chat, ask("gpt-4o-mini", canary, `,"gateway":{"optimize":7}`))
	return k
}

// samePartial is embeddings of which some fail.
func samePartial() (k talk) {
	for i, body := range []string{`{"model":"text-embedding-3-small","dimensions":2,"input":["one","this is too #long","","four"],"gateway":{"partial":true}}`,
		`{"model":"text-embedding-3-small","dimensions":2,"input":["one","this is too #long"]}`, `{"model":"text-embedding-3-small","dimensions":2,"input":["#long","#long"],"gateway":{"partial":true}}`,
		`{"model":"text-embedding-3-small","dimensions":2,"input":["one"],"gateway":{"partial":7}}`, `{"model":"text-embedding-3-small","dimensions":2,"input":["one"],"gateway":{"cache":{"mode":"off"}}}`,
		`{"model":"text-embedding-3-small","dimensions":2,"input":["one"],"gateway":{"cache":{"mode":"semantic"}}}`} {
		k.add(fmt.Sprintf("partial embeddings %d", i), "", "POST", "/ai/embeddings", body)
	}
	return k
}
