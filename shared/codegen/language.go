package codegen

import (
	"path"
	"slices"
	"strings"
	"sync"
)

// language is what the package knows of one.
type language struct {
	name    string   // as answers call it
	aliases []string // what models and people also write
	exts    []string // extensions with the dot, the usual one first
	main    string   // what a file without a path is called; "" for snippet_N
	files   []string // names of files that are of this language whatever their extension
}

// languages is a table, not a judgement: one that is missing still works, with
// .txt where an extension is needed.
var languages = []language{
	{name: "go", aliases: []string{"golang"}, exts: []string{".go"}, main: "main.go"},
	{name: "python", aliases: []string{"py", "python3", "py3"}, exts: []string{".py", ".pyi", ".pyw"}, main: "main.py"},
	{name: "javascript", aliases: []string{"js", "node", "nodejs", "node.js", "ecmascript", "mjs", "cjs", "es6"}, exts: []string{".js", ".mjs", ".cjs"}, main: "index.js"},
	{name: "typescript", aliases: []string{"ts", "mts", "cts"}, exts: []string{".ts", ".mts", ".cts"}, main: "index.ts"},
	{name: "jsx", aliases: []string{"react", "react.js", "javascriptreact"}, exts: []string{".jsx"}, main: "App.jsx"},
	{name: "tsx", aliases: []string{"typescriptreact"}, exts: []string{".tsx"}, main: "App.tsx"},
	{name: "json", exts: []string{".json", ".webmanifest", ".ipynb"}, main: "data.json"},
	{name: "jsonc", aliases: []string{"json5"}, exts: []string{".jsonc", ".json5"}, files: []string{"tsconfig.json", "jsconfig.json", ".eslintrc.json", ".swcrc"}},
	{name: "jsonl", aliases: []string{"ndjson"}, exts: []string{".jsonl", ".ndjson"}},
	{name: "yaml", aliases: []string{"yml"}, exts: []string{".yaml", ".yml"}, main: "config.yaml"},
	{name: "toml", exts: []string{".toml"}, main: "config.toml", files: []string{"Cargo.lock", "poetry.lock", "uv.lock", "Pipfile"}},
	{name: "shell", aliases: []string{"sh", "bash", "shellscript", "shell-script", "bats"}, exts: []string{".sh", ".bash", ".bats"}, main: "script.sh", files: []string{".bashrc", ".profile", ".envrc"}},
	{name: "zsh", exts: []string{".zsh"}, main: "script.zsh", files: []string{".zshrc"}},
	{name: "fish", exts: []string{".fish"}, main: "script.fish"},
	{name: "powershell", aliases: []string{"ps1", "ps", "pwsh"}, exts: []string{".ps1", ".psm1"}, main: "script.ps1"},
	{name: "batch", aliases: []string{"bat", "cmd", "dos"}, exts: []string{".bat", ".cmd"}, main: "script.bat"},
	{name: "console", aliases: []string{"terminal", "shell-session", "sh-session", "session"}},
	{name: "text", aliases: []string{"txt", "plaintext", "plain", "output", "log", "tree", "none"}, exts: []string{".txt", ".log"}},
	{name: "sql", aliases: []string{"mysql", "postgresql", "postgres", "pgsql", "plpgsql", "sqlite", "tsql", "plsql"}, exts: []string{".sql"}, main: "query.sql"},
	{name: "css", exts: []string{".css"}, main: "styles.css"},
	{name: "scss", aliases: []string{"sass"}, exts: []string{".scss", ".sass"}, main: "styles.scss"},
	{name: "less", exts: []string{".less"}, main: "styles.less"},
	{name: "html", aliases: []string{"htm", "html5", "xhtml"}, exts: []string{".html", ".htm"}, main: "index.html"},
	{name: "vue", aliases: []string{"vue.js"}, exts: []string{".vue"}, main: "App.vue"},
	{name: "svelte", exts: []string{".svelte"}, main: "App.svelte"},
	{name: "astro", exts: []string{".astro"}, main: "index.astro"},
	{name: "xml", aliases: []string{"svg", "xsd", "xslt", "plist", "pom"}, exts: []string{".xml", ".svg", ".xsd", ".xsl", ".xslt", ".plist", ".csproj", ".fsproj", ".vbproj", ".props", ".targets", ".xaml", ".wsdl"}, main: "data.xml"},
	{name: "markdown", aliases: []string{"md", "mdx", "gfm"}, exts: []string{".md", ".markdown", ".mdx"}, main: "README.md", files: []string{"README", "CHANGELOG"}},
	{name: "rst", aliases: []string{"restructuredtext"}, exts: []string{".rst"}, main: "README.rst"},
	{name: "java", exts: []string{".java"}, main: "Main.java"},
	{name: "kotlin", aliases: []string{"kt", "kts"}, exts: []string{".kt", ".kts"}, main: "Main.kt"},
	{name: "scala", exts: []string{".scala", ".sc"}, main: "Main.scala"},
	{name: "groovy", exts: []string{".groovy", ".gradle"}, files: []string{"Jenkinsfile"}},
	{name: "c", aliases: []string{"h"}, exts: []string{".c", ".h"}, main: "main.c"},
	{name: "cpp", aliases: []string{"c++", "cc", "cxx", "hpp"}, exts: []string{".cpp", ".cc", ".cxx", ".hpp", ".hh", ".hxx"}, main: "main.cpp"},
	{name: "csharp", aliases: []string{"c#", "cs", "asp.net"}, exts: []string{".cs"}, main: "Program.cs"},
	{name: "fsharp", aliases: []string{"f#", "fs"}, exts: []string{".fs", ".fsx"}, main: "Program.fs"},
	{name: "objective-c", aliases: []string{"objc", "objectivec"}, exts: []string{".m", ".mm"}, main: "main.m"},
	{name: "rust", aliases: []string{"rs"}, exts: []string{".rs"}, main: "main.rs"},
	{name: "zig", exts: []string{".zig"}, main: "main.zig"},
	{name: "swift", exts: []string{".swift"}, main: "main.swift"},
	{name: "dart", exts: []string{".dart"}, main: "main.dart"},
	{name: "ruby", aliases: []string{"rb"}, exts: []string{".rb", ".rake", ".gemspec"}, main: "main.rb", files: []string{"Gemfile", "Rakefile", "Vagrantfile"}},
	{name: "php", exts: []string{".php"}, main: "index.php"},
	{name: "perl", aliases: []string{"pl"}, exts: []string{".pl", ".pm"}, main: "main.pl"},
	{name: "lua", exts: []string{".lua"}, main: "main.lua"},
	{name: "r", aliases: []string{"rlang"}, exts: []string{".r", ".R"}, main: "main.R"},
	{name: "julia", aliases: []string{"jl"}, exts: []string{".jl"}, main: "main.jl"},
	{name: "haskell", aliases: []string{"hs"}, exts: []string{".hs"}, main: "Main.hs"},
	{name: "ocaml", aliases: []string{"ml"}, exts: []string{".ml", ".mli"}, main: "main.ml"},
	{name: "elixir", aliases: []string{"ex", "exs"}, exts: []string{".ex", ".exs"}, main: "main.ex"},
	{name: "erlang", aliases: []string{"erl"}, exts: []string{".erl", ".hrl"}, main: "main.erl"},
	{name: "clojure", aliases: []string{"clj", "edn"}, exts: []string{".clj", ".cljs", ".edn"}, main: "core.clj"},
	{name: "terraform", aliases: []string{"tf", "hcl"}, exts: []string{".tf", ".hcl", ".tfvars"}, main: "main.tf"},
	{name: "protobuf", aliases: []string{"proto", "proto3"}, exts: []string{".proto"}, main: "schema.proto"},
	{name: "graphql", aliases: []string{"gql"}, exts: []string{".graphql", ".gql"}, main: "schema.graphql"},
	{name: "prisma", exts: []string{".prisma"}, main: "schema.prisma"},
	{name: "solidity", aliases: []string{"sol"}, exts: []string{".sol"}, main: "Contract.sol"},
	{name: "dockerfile", aliases: []string{"docker", "containerfile"}, exts: []string{".dockerfile"}, main: "Dockerfile", files: []string{"Dockerfile", "Containerfile"}},
	{name: "makefile", aliases: []string{"make", "mk"}, exts: []string{".mk"}, main: "Makefile", files: []string{"Makefile", "GNUmakefile", "makefile"}},
	{name: "cmake", exts: []string{".cmake"}, main: "CMakeLists.txt", files: []string{"CMakeLists.txt"}},
	{name: "nginx", aliases: []string{"nginxconf"}, exts: []string{".conf"}, main: "nginx.conf"},
	{name: "ini", aliases: []string{"cfg", "editorconfig"}, exts: []string{".ini", ".cfg"}, main: "config.ini", files: []string{".editorconfig", ".gitconfig", ".npmrc"}},
	{name: "properties", exts: []string{".properties"}},
	{name: "dotenv", aliases: []string{"env"}, exts: []string{".env"}, main: ".env", files: []string{".env", ".env.example", ".env.local"}},
	{name: "gomod", aliases: []string{"go.mod", "go-mod"}, exts: []string{".mod"}, main: "go.mod", files: []string{"go.mod", "go.work"}},
	{name: "gitignore", aliases: []string{"ignore", "dockerignore"}, exts: []string{".gitignore"}, main: ".gitignore", files: []string{".gitignore", ".dockerignore"}},
	{name: "diff", aliases: []string{"patch"}, exts: []string{".diff", ".patch"}, main: "changes.diff"},
	{name: "csv", exts: []string{".csv"}, main: "data.csv"},
	{name: "mermaid", aliases: []string{"mmd"}, exts: []string{".mmd"}},
	{name: "http", aliases: []string{"rest"}, exts: []string{".http"}},
	{name: "jinja", aliases: []string{"jinja2", "j2"}, exts: []string{".j2", ".jinja"}},
	{name: "template", aliases: []string{"gotmpl", "go-template"}, exts: []string{".tmpl", ".tpl"}},
	{name: "vim", aliases: []string{"viml", "vimscript"}, exts: []string{".vim"}, files: []string{".vimrc"}},
	{name: "text", exts: []string{".txt"}, files: []string{"LICENSE", "NOTICE", "AUTHORS", "Procfile", "CODEOWNERS"}},
}

// tables are the languages by what they are called, aliases and file names in
// lower case. They are made when somebody first asks: every function of the
// gateway links this package, and most of them never do.
var tables struct {
	once             sync.Once
	alias, ext, file map[string]*language
}

func makeTables() {
	t := &tables
	t.alias, t.ext, t.file = map[string]*language{}, map[string]*language{}, map[string]*language{}
	first := func(m map[string]*language, key string, l *language) {
		if _, known := m[key]; !known {
			m[key] = l
		}
	}
	for i := range languages {
		l := &languages[i]
		first(t.alias, l.name, l)
		for _, a := range l.aliases {
			first(t.alias, a, l)
		}
		for _, e := range l.exts {
			first(t.ext, strings.ToLower(e), l)
		}
		for _, f := range l.files {
			first(t.file, strings.ToLower(f), l)
		}
	}
}

// byAlias, byExt and byFile find a language; nil if it is not known. What they
// are given is in lower case.
func byAlias(name string) *language {
	tables.once.Do(makeTables)
	return tables.alias[name]
}

func byExt(ext string) *language {
	tables.once.Do(makeTables)
	return tables.ext[ext]
}

func byFile(name string) *language {
	tables.once.Do(makeTables)
	return tables.file[name]
}

// Language is the name by which answers call a language: "golang" is go. One
// that is not known stays as it is, in lower case.
func Language(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if l := byAlias(name); l != nil {
		return l.name
	}
	return name
}

// LanguageOf is the language of a file, by its name; "" if the name does not
// say.
func LanguageOf(file string) string {
	base := strings.ToLower(path.Base(file))
	if l := byFile(base); l != nil {
		return l.name
	}
	if strings.HasPrefix(base, "tsconfig.") && strings.HasSuffix(base, ".json") {
		return "jsonc"
	}
	if strings.HasPrefix(base, "dockerfile.") {
		return "dockerfile"
	}
	if l := byExt(path.Ext(base)); l != nil {
		return l.name
	}
	return ""
}

// extension is that of a generated file name.
func extension(language string) string {
	if l := byAlias(language); l != nil && len(l.exts) > 0 {
		return l.exts[0]
	}
	return ".txt"
}

func mainFile(language string) string {
	if l := byAlias(language); l != nil {
		return l.main
	}
	return ""
}

// asides are the languages of blocks that, without a path, show how to use the
// code rather than being it.
var asides = []string{"shell", "zsh", "fish", "powershell", "batch", "console", "text", "mermaid", "http"}

func isAside(language string) bool { return slices.Contains(asides, language) }
