// Package codegen asks models for files and reads their answers: it writes the
// prompt, and parses the answer while it comes into files, explanation and
// diagnostics, whatever form the model chose for them. File names in the result
// are safe to join to a folder.
package codegen

// Limits of an answer, and of the files in a request.
const (
	MaxFiles = 100     // of an answer, and of a request
	MaxFile  = 1 << 20 // bytes of a file, and of the explanation
	MaxTotal = 4 << 20 // bytes of all files
)

// File is a file of a request or of an answer.
type File struct {
	Path     string `json:"path"` // relative, with slashes; CheckPath holds
	Language string `json:"language"`
	Content  string `json:"content"`
}

// Severity says how bad a Diagnostic is.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // the file is broken or incomplete
	Warning Severity = "warning" // it is not what the model, or the request, meant
	Info    Severity = "info"
)

// Diagnostic is something to know about an answer.
type Diagnostic struct {
	Path     string   `json:"path,omitempty"` // the file in question; "" for the answer as a whole
	Line     int      `json:"line,omitempty"` // from 1; 0 if no place can be named
	Column   int      `json:"column,omitempty"`
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`
	Message  string   `json:"message"`
	Source   string   `json:"source"` // who says so: the gateway, or the parser of the language
}

// Codes of this package's diagnostics.
const (
	UnsafePath    = "unsafe_path"    // the model's path was refused; the file has another name
	DuplicatePath = "duplicate_path" // a path was given twice; the last file stays
	PathConflict  = "path_conflict"  // a path is a file here and a folder there
	NoPath        = "no_path"        // the model named no path; we made one
	Truncated     = "truncated"      // the answer ended inside the file
	Unclosed      = "unclosed"       // the model forgot to end the file before the next
	Patch         = "patch"          // the model wrote a patch instead of a file
	TooLarge      = "too_large"      // content was cut
	TooMany       = "too_many_files" // files were left out
	NoFiles       = "no_files"       // the answer holds no file
)

const source = "gateway"

// Result is an answer, read to its end.
type Result struct {
	Files       []File // in the order of their first appearance, each path once
	Explanation string // what is not in files, without surrounding blank lines
	Diagnostics []Diagnostic
}

// Tidy lets tools look at all files, and format them if format is true. Without
// tools it does nothing.
func (r *Result) Tidy(tools Tools, format bool) {
	if tools == nil {
		return
	}
	for i := range r.Files {
		text, list := tools.Tidy(r.Files[i], format)
		r.Files[i].Content = text
		r.Diagnostics = append(r.Diagnostics, list...)
	}
}

// Kind says what an Event is.
type Kind string

// The kinds of events, as they are called in a stream.
const (
	FileStart   Kind = "file.start"
	FileDelta   Kind = "file.delta"
	FileEnd     Kind = "file.end"
	Explanation Kind = "explanation.delta"
)

// Event is a step of an answer. Files do not overlap; between a file's start
// and end there are only its own deltas.
type Event struct {
	Kind     Kind
	Index    int    // of the file, from 0 in order of starts
	Path     string // with FileStart and FileEnd
	Language string // with FileStart; "" if unknown
	Text     string // with FileDelta and Explanation
}

// Tools knows languages. It may be used concurrently.
type Tools interface {
	// Tidy returns the content of f, formatted if format is true and its
	// language has a formatter, and what is wrong in it. Formatting never
	// changes what a file means.
	Tidy(f File, format bool) (content string, list []Diagnostic)
	// IsCode says whether text can only be a whole file in the language. Unsure
	// means no.
	IsCode(language, text string) bool
}
