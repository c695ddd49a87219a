package tokens

import (
	"math"
	"strings"
)

// vision is how the models of a family, or some of them, count images.
type vision struct {
	// OpenAI's older way: an image is made to fit 2048×2048, then its shorter side
	// 768, and costs base and so much for each tile of 512×512.
	base, tile int64

	// OpenAI's newer way: patches of 32×32, of which there are at most so many,
	// with detail "original", which may be the usual one, more; per cent of a
	// patch.
	patches, original, percent int64
	usuallyOriginal            bool

	// By area: pixels for each token, and the most tokens of an image.
	area, most int64

	// Google's: 258 for each tile, cut by one of two rules; Gemini 3 takes up to
	// 1,120 whatever the size is.
	crops bool
}

// visions are by prefixes of models' names, the first that fits. They are from
// OpenAI's guide "Images and vision", section "Calculating costs". Where that
// names no factor for a model, it is 1.62, which is more than any other but
// nano's.
var visions = []struct {
	prefix string
	vision
}{
	{"gpt-4o-mini", vision{base: 2833, tile: 5667}},
	{"gpt-4.1-mini", vision{patches: 1536, percent: 162}},
	{"gpt-4.1-nano", vision{patches: 1536, percent: 246}},
	{"gpt-4", vision{base: 85, tile: 170}},
	{"chatgpt-4o", vision{base: 85, tile: 170}},
	{"gpt-3", vision{base: 85, tile: 170}},
	{"o4-mini", vision{patches: 1536, percent: 172}},
	{"o1", vision{base: 75, tile: 150}},
	{"o3", vision{base: 75, tile: 150}},
	{"gpt-5-mini", vision{patches: 1536, percent: 162}},
	{"gpt-5-nano", vision{patches: 1536, percent: 246}},
	{"gpt-5.4-mini", vision{patches: 1536, percent: 162}},
	{"gpt-5.4-nano", vision{patches: 1536, percent: 246}},
	{"gpt-5.2", vision{patches: 1536, percent: 162}},
	{"gpt-5.3", vision{patches: 1536, percent: 162}},
	{"gpt-5.4", vision{patches: 2500, original: 10_000, percent: 162}},
	{"gpt-5.5", vision{patches: 2500, original: 10_000, percent: 162, usuallyOriginal: true}},
	{"gpt-5.", vision{patches: 2500, original: 30_000, percent: 162, usuallyOriginal: true}},
	{"gpt-5", vision{base: 70, tile: 140}},
}

// familyVisions are for those that are not among visions.
var familyVisions = [families]vision{
	O200k:   {patches: 2500, original: 30_000, percent: 162, usuallyOriginal: true}, // as the newest
	CL100k:  {base: 85, tile: 170},
	Claude3: {area: 750, most: 1600},
	Claude:  {area: 750, most: 5000}, // since Opus 4.7 images may have 3.75 megapixels
	Gemini:  {crops: true},
	General: {area: 600, most: 6500}, // Nova is about the densest; Llama has four tiles of 1,601
}

// sees returns the index of a model in visions, from 1; 0 for none.
func sees(name string) uint8 {
	switch {
	case strings.Contains(name, "codex"): // these count as the small ones do
		name = "gpt-5-mini"
	case strings.HasPrefix(name, "gpt-5.1"): // as GPT-5
		name = "gpt-5"
	}
	for i, v := range visions {
		if strings.HasPrefix(name, v.prefix) {
			return uint8(i + 1)
		}
	}
	return 0
}

// flat is what counts where nothing is known: a file that is elsewhere, a part
// of a kind that is yet to come.
const flat = 1600

// Tokens of a second of sound, in the models that hear.
const (
	leastSound = 10 // OpenAI
	mostSound  = 32 // Gemini
)

// Media estimates what is no text. Where the providers have published how they
// count images and the size of one is known, Low and High are what it costs;
// where it is not known, Tokens is what one of 1024×1024 costs.
func (c Counter) Media(m Media) Estimate {
	switch m.kind {
	case image:
		v := &familyVisions[c.Family]
		if c.sees > 0 {
			v = &visions[c.sees-1].vision
		}
		low, high := v.tokens(m)
		_, usual := v.tokens(m.usual())
		return within(usual, low, high)
	case sound:
		if m.size > 0 {
			low, high := min(m.size/fatSound, m.seconds)*leastSound, m.seconds*mostSound
			return Estimate{Tokens: high, Low: low, High: high}
		}
	case file: // text that is compressed, with its pages as images, or little else than images
		if m.size > 0 {
			return Estimate{Tokens: max(1, m.size/20), Low: m.size / 1000, High: max(flat, m.size/2)}
		}
	}
	return Estimate{Tokens: flat, Low: 1, High: flat}
}

func (v *vision) tokens(m Media) (low, high int64) {
	w, h := m.width, m.height
	sized := w > 0 && h > 0
	switch {
	case v.tile > 0 && m.detail == "low":
		return v.base, v.base
	case v.tile > 0 && !sized:
		return v.base + v.tile, v.base + 8*v.tile // 768×2048
	case v.tile > 0:
		if long := max(w, h); long > 2048 {
			w, h = max(1, w*2048/long), max(1, h*2048/long)
		}
		if short := min(w, h); short > 768 {
			w, h = w*768/short, h*768/short
		}
		n := v.base + v.tile*over(w, 512)*over(h, 512)
		return n, n
	case v.patches > 0:
		return v.ofPatches(m)
	case v.crops && !sized:
		return 258, 12 * 258
	case v.crops:
		unit := max(1, min(w, h)*2/3)
		crops, tiles := over(w, unit)*over(h, unit), over(w, 768)*over(h, 768)
		if w <= 384 && h <= 384 {
			crops, tiles = 1, 1
		}
		return 258, max(258*max(crops, tiles), 1120)
	case !sized:
		return 1, v.most
	}
	n := min(over(w*h, v.area), v.most)
	return n, n
}

// ofPatches counts patches of 32×32 pixels.
func (v *vision) ofPatches(m Media) (low, high int64) {
	limit := v.patches
	switch {
	case m.detail == "low": // 512×512
		limit = 256
	case m.detail == "original" || v.usuallyOriginal && m.detail != "high":
		limit = max(limit, v.original)
	}
	tokens := func(patches int64) int64 { return over(patches*v.percent, 100) }
	if m.width == 0 || m.height == 0 {
		return tokens(1), tokens(limit)
	}
	n := over(m.width, 32) * over(m.height, 32)
	if n > limit { // it is made smaller, so that no side ends within a patch
		w, h := float64(m.width)/32, float64(m.height)/32
		r := math.Sqrt(float64(limit) / (w * h))
		r *= min(math.Floor(w*r)/(w*r), math.Floor(h*r)/(h*r))
		n = min(limit, max(1, int64(math.Ceil(w*r-1e-6))*int64(math.Ceil(h*r-1e-6))))
	}
	return tokens(n), tokens(n)
}

// over is n/by, rounded up.
func over(n, by int64) int64 { return (n + by - 1) / by }
