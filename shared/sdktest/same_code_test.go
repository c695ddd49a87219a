package sdktest_test

import (
	"fmt"
	"strings"
)

// goFile is an answer with a file that is not formatted; the model repeats it.
const goFile = "Write it.\n```go clock/clock.go\npackage clock\nfunc  Now( ) int {return 7}\n```\nThat is <all>."

// sameCode is code: the model repeats the prompt, with the files in it.
func sameCode() (k talk) {
	const path = "/ai/code/generate"
	code := func(model, prompt, more string) string {
		return fmt.Sprintf(`{"model":%q,"prompt":%s%s}`, model, toJSON(prompt), more)
	}
	prompts := map[string]string{
		"a file":         goFile,
		"prose":          "Nothing to write here.",
		"several files":  "```js a/b.js\nlet x = {;\n```\n\n```json c.json\n{\"b\":1,\n\"a\":[1,2]}\n```\n\n```yaml\na:   1\n```",
		"traversal":      "```sh ../../etc/passwd\necho hi\n```\n```py /root/x.py\nprint(1)\n```\n```go C:\\\\x.go\npackage x\n```",
		"the same twice": "```go x.go\npackage x\n```\nno:\n```go x.go\npackage y\n```",
		"unclosed":       "```go x.go\npackage x\nfunc broken( {",
		"a patch":        "```diff x.go\n--- a/x.go\n+++ b/x.go\n@@ -1 +1 @@\n-a\n+b\n```",
		"a refusal":      "It is #fail-400 today",
		"a cut":          "It is #cut in the middle\n```go x.go\npackage x\n```",
		"an error":       "It is an #error in the middle\n```go x.go\npackage x\n```",
		"overloaded":     "It is #fail-503 today",
	}
	for _, name := range []string{"a file", "prose", "several files", "traversal", "the same twice", "unclosed", "a patch", "a refusal", "a cut", "an error", "overloaded"} {
		k.add("code: "+name, "", "POST", path, code("gpt-4o-mini", prompts[name], ""))
		k.add("code streamed: "+name, "", "POST", path, code("gpt-4o-mini", prompts[name], `,"stream":true`))
	}
	for _, m := range models {
		k.does(200, "code by "+m.provider, "", "POST", path, code(m.name, goFile, `,"language":"go","framework":"none","constraints":["Be short.","Be good."],"tests":true,"files":[{"path":"a/x.go","content":"package a\n"}],"temperature":0.1`))
		k.does(200, "code streamed by "+m.provider, "", "POST", path, code(m.name, goFile, `,"stream":true,"format":false`))
	}
	k.does(200, "code by echo", "", "POST", path, code("echo", goFile, ""))
	k.add("code without a model", "", "POST", path, `{"prompt":"x"}`)
	k.does(200, "code from a template", "", "POST", path, code("gpt-4o-mini", goFile, `,"gateway":{"template":{"name":"tutor","variables":{"topic":"code"}},"tags":["x"]}`))
	k.does(200, "code of a project that nobody can be asked about", "", "POST", path, code("gpt-4o-mini", goFile, `,"project":"p"`))
	for i, more := range []string{`,"files":[{"path":"../x","content":"y"}]`, `,"files":[{"path":"/x","content":"y"}]`, `,"files":[{"path":"a","content":"y"},{"path":"a","content":"z"}]`, `,"files":[{"path":"a"}]`, `,"files":7`, `,"files":[7]`,
		`,"language":7`, `,"constraints":[7]`, `,"tests":1`, `,"format":"yes"`, `,"stream":1`, `,"project":"../p"`, `,"project":7`, `,"messages":[]`, `,"unknown":1`, `,"n":2`, `,"tools":[]`, `,"gateway":{"x":1}`, `,"temperature":"hot"`, `,"max_tokens":0`,
		`,"gateway":{"rag":{"collection":"nothing"}}`, `,"gateway":{"max_price_usd":0.00000001}`, `,"files":[{"path":"CON","content":"y"}]`} {
		k.add(fmt.Sprintf("wrong code %d", i), "", "POST", path, code("gpt-4o-mini", canary, more))
	}
	for i, body := range []string{``, `{`, `[]`, `{}`, `{"prompt":7}`, `{"prompt":""}`, `{"model":"nothing","prompt":"x"}`, `{"model":"text-embedding-3-small","prompt":"x"}`, `{"prompt":"` + strings.Repeat("x", 262145) + `"}`} {
		k.add(fmt.Sprintf("wrong code body %d", i), "", "POST", path, body)
	}
	for _, who := range []string{"few", "poor", "admin", "stranger"} {
		k.add("code by "+who, who, "POST", path, code("gpt-4o-mini", canary, ""))
	}
	return k
}
