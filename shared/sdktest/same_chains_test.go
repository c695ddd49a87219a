package sdktest_test

import (
	"fmt"
	"strings"
)

// brief is a chain with steps of most types, one after the other.
const brief = `{"name":"brief","description":"A <brief> one","input":[{"name":"topic","required":true},{"name":"list","type":"array","default":["a","b"]}],"budget_usd":2,"labels":["production"],
	"steps":[
	{"id":"plan","type":"prompt","model":"gpt-4o-mini","system":"Be brief.","user":"Plan {{.input.topic}}","parameters":{"max_completion_tokens":50}},
	{"id":"long","type":"condition","needs":["plan"],"if":{"path":"$.steps.plan.output","matches":"maps"},"then":["yes"],"else":["no"]},
	{"id":"yes","type":"prompt","model":"anthropic/claude-sonnet-4-5","user":"Yes: {{.steps.plan.output}}","retry":{"max_attempts":2,"backoff_ms":1}},
	{"id":"no","type":"prompt","model":"gemini/gemini-2.5-flash","user":"No: {{.steps.plan.output}}"},
	{"id":"each","type":"map","over":"$.input.list","parallel":1,"needs":["yes","no"],"do":{"type":"prompt","model":"gpt-4o-mini","user":"{{.index}}: {{.item}} & more","cache":"exact"}},
	{"id":"all","type":"transform","select":{"plan":"$.steps.plan.output","each":"$.steps.each.output"}}],
	"output":{"all":"$.steps.all.output","topic":"$.input.topic"}}`

// searching is a chain that looks into documents first.
const searching = `{"name":"searching","input":[{"name":"q"}],"steps":[
	{"id":"find","type":"retrieve","collection":"other","query":"{{.input.q}}","top_k":2},
	{"id":"say","type":"prompt","model":"gpt-4o-mini","user":"{{range .steps.find.output}}- {{.text}}\n{{end}}"}]}`

// halting is a chain whose second step does not end before its time.
const halting = `{"name":"halting","steps":[
	{"id":"one","type":"prompt","model":"gpt-4o-mini","user":"The first half"},
	{"id":"two","type":"prompt","model":"gpt-4o-mini","user":"Wait at #hold-halting after {{.steps.one.output}}","timeout_ms":%d}]}`

func sameChains() (k talk) {
	const path = "/ai/chains"
	k.does(200, "no chains yet", "", "GET", path, "")
	k.does(201, "a chain", "", "POST", path, brief)
	k.does(200, "the same chain", "", "POST", path, brief)
	k.does(201, "its second version", "", "POST", path, strings.Replace(brief, "Plan {{", "Do plan {{", 1))
	k.does(201, "bob's chain of that name", "bob", "POST", path, `{"name":"brief","steps":[{"id":"a","type":"transform","select":"$.input"}]}`)
	for i, body := range []string{``, `{`, `[]`, `{}`, `{"name":"x"}`, `{"name":"x","steps":[]}`, `{"name":"9","steps":[{"id":"a","type":"transform","select":"$.input"}]}`,
		`{"name":"x","steps":[{"id":"a","type":"dance"}]}`, `{"name":"x","steps":[{"id":"a","type":"prompt","model":"gpt-4o-mini","user":"{{.steps.b.output}}"},{"id":"b","type":"prompt","model":"gpt-4o-mini","user":"{{.steps.a.output}}"}]}`,
		`{"name":"x","steps":[{"id":"a","type":"prompt","model":"gpt-4o-mini","user":"{{.input.nothing}}"},{"id":"a","type":"transform","select":"$.steps.c.output"},{"id":"d","type":"transform","select":"$$"}]}`,
		`{"name":"x","steps":[{"id":"a","type":"prompt","model":"no/such","user":"x"}]}`, `{"name":"x","steps":[{"id":"a","type":"prompt","template":{"name":"nothing"}}]}`,
		`{"name":"x","unknown":1,"steps":[{"id":"a","type":"transform","select":"$.input"}]}`, `{"name":"x","budget_usd":-1,"steps":[{"id":"a","type":"transform","select":"$.input"}]}`,
		`{"name":"x","steps":[{"id":"a","type":"code","model":"gpt-4o-mini","user":"x","retry":{"max_attempts":9}}]}`, `{"name":"x","steps":[{"id":"a","type":"condition","if":{"path":"$.input","matches":"("},"then":["b"]}]}`} {
		k.add(fmt.Sprintf("wrong chain %d", i), "", "POST", path, body)
	}
	for _, query := range []string{"", "?limit=1", "?after=brief", "?limit=x"} {
		k.add("chains"+query, "", "GET", path+query, "")
	}
	for _, query := range []string{"", "?version=1", "?version=production", "?version=9", "?version=a%20b"} {
		k.add("chain"+query, "", "GET", path+"/brief"+query, "")
	}
	k.does(200, "versions of the chain", "", "GET", path+"/brief/versions?limit=1", "")
	k.does(200, "label of the chain", "", "POST", path+"/brief/labels/staging", `{"version":1}`)
	k.does(404, "label of no version", "", "POST", path+"/brief/labels/staging", `{"version":7}`)
	k.does(200, "no label of the chain", "", "DELETE", path+"/brief/labels/staging", "")

	const runs = path + "/brief/runs"
	k.does(200, "run", "", "POST", runs, `{"input":{"topic":"maps"},"version":"production","gateway":{"tags":["a"]}}`).keep = "run=id"
	k.does(200, "run streamed", "", "POST", runs, `{"input":{"topic":"seas","list":["c",{"d":1.50}]},"stream":true}`)
	k.does(200, "run again", "", "GET", runs+"/{run}", "")
	k.does(200, "resume a run that is done", "", "POST", runs, `{"run_id":"{run}"}`)
	k.does(409, "resume with other input", "", "POST", runs, `{"run_id":"{run}","input":{"topic":"rivers"}}`)
	k.does(409, "resume with another version", "", "POST", runs, `{"run_id":"{run}","version":1}`)
	for i, body := range []string{``, `{`, `[]`, `{"input":7}`, `{"input":{}}`, `{"input":{"topic":7}}`, `{"input":{"topic":"x","more":1}}`, `{"input":{"topic":"x"},"version":9}`, `{"input":{"topic":"x"},"version":"no"}`, `{"input":{"topic":"x"},"stream":1}`,
		`{"input":{"topic":"x"},"gateway":{"rag":{}}}`, `{"input":{"topic":"x"},"gateway":7}`, `{"run_id":"run_nothing"}`, `{"run_id":7}`, `{"unknown":1}`} {
		k.add(fmt.Sprintf("wrong run %d", i), "", "POST", runs, body)
		k.add(fmt.Sprintf("wrong run %d, streamed", i), "", "POST", runs, strings.Replace(body, "{", `{"stream":true,`, 1))
	}
	for _, how := range []string{"#fail-400", "#fail-429", "#fail-401", "#fail-500"} {
		k.add("run fails by "+how, "", "POST", runs, `{"input":{"topic":"maps, and `+how+`"}}`).keep = "failed=run.id"
		k.does(200, "failed run by "+how, "", "GET", runs+"/{failed}", "")
		k.add("run fails by "+how+" once more", "", "POST", runs, `{"run_id":"{failed}","stream":true}`)
	}
	k.add("run by few", "few", "POST", path, strings.Replace(brief, "brief", "few", 1))
	k.add("run with a model that is not allowed", "few", "POST", path+"/few/runs", `{"input":{"topic":"x"}}`)
	k.add("a chain by poor", "poor", "POST", path, brief)
	k.add("run without a budget", "poor", "POST", runs, `{"input":{"topic":"x"}}`)

	k.does(201, "a chain that halts", "", "POST", path, fmt.Sprintf(halting, 300))
	k.does(504, "run that halts", "", "POST", path+"/halting/runs", `{}`).keep = "halted=run.id"
	k.does(200, "halted run", "", "GET", path+"/halting/runs/{halted}", "")
	k.does(404, "halted run of another chain", "", "GET", runs+"/{halted}", "")
	k.does(200, "resume the halted run", "", "POST", path+"/halting/runs", `{"run_id":"{halted}"}`).before = func(s *site) { s.up.release("halting") }
	k.does(200, "run that was resumed", "", "GET", path+"/halting/runs/{halted}", "")

	for _, x := range [][3]string{{"GET", runs + "/{run}", ""}, {"GET", path + "/halting", ""}, {"DELETE", path + "/halting", ""}, {"POST", path + "/halting/runs", `{}`}, {"POST", runs, `{"run_id":"{run}"}`}, {"POST", path + "/halting/labels/x", `{"version":1}`}} {
		k.does(404, "bob: "+x[0]+" "+x[1], "bob", x[0], x[1], x[2])
	}
	k.does(200, "bob's chains", "bob", "GET", path, "")
	k.does(200, "bob's run", "bob", "POST", runs, `{}`)
	k.does(201, "a chain that searches", "", "POST", path, searching).library = "scores"
	k.does(200, "search and answer", "", "POST", path+"/searching/runs", `{"input":{"q":"whistling kettles"}}`).library = "scores"
	k.does(404, "search and answer, nothing there", "bob", "POST", path+"/searching/runs", `{"input":{"q":"whistling kettles"}}`).library = "scores"
	k.does(200, "delete the chain", "", "DELETE", path+"/brief", "")
	k.does(404, "delete the chain again", "", "DELETE", path+"/brief", "")
	k.does(404, "run the deleted chain", "", "POST", runs, `{"input":{"topic":"x"}}`)
	k.add("run of a deleted chain", "", "GET", runs+"/{run}", "")
	return k
}
