package codegen

import (
	"strconv"

	"github.com/devmentor/ai-gateway/shared/pattern"
)

// partMark is what stands behind the path of a file that comes in parts.
var partMark = pattern.Pattern{Expr: `(?i)(?:[ *` + "`" + `]\(|[ *` + "`" + `][-–—] +|: +)(?:(continued|cont['’]?d|cont\.|continuation|续|続き|fortsetzung|suite|continuación|continuação|продолжение)|(?:part|teil|parte|partie|часть) ([0-9]{1,3})(?: ?(?:/|of|von|de|из) ?[0-9]{1,3})?|([0-9]{1,3}) ?/ ?[0-9]{1,3})[*` + "`" + `)]*[:*=~\s-]*$`}

// continues says that a line which names a file also says that the file has
// begun before.
func continues(line string) bool {
	m := partMark.Regexp().FindStringSubmatch(ascii(line))
	if m == nil {
		return false
	}
	n, err := strconv.Atoi(m[2] + m[3])
	return m[1] != "" || err == nil && n > 1
}

// join begins the file of the open block, which is a part of one, with what
// there is of it.
func (p *Parser) join(name string) {
	for i := len(p.files) - 2; i >= 0; i-- {
		if p.files[i].Path == name {
			p.files[len(p.files)-1].joined = true
			p.fill(len(p.files)-1, p.files[i].text.String())
			return
		}
	}
}
