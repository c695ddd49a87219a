package tokens

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	stdimage "image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
	"testing"
)

func pngOf(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, stdimage.NewPaletted(stdimage.Rect(0, 0, w, h), gifColors)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var gifColors = color.Palette{color.Black, color.White}

// sized is a PNG's first bytes: more of it does not decide what it costs.
func sized(w, h int) []byte {
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[16:], uint32(w))
	binary.BigEndian.PutUint32(b[20:], uint32(h))
	return b
}

func imagePart(data []byte, detail string) string {
	return `{"type":"image_url","image_url":{"url":"data:image/x;base64,` + base64.StdEncoding.EncodeToString(data) + `","detail":"` + detail + `"}}`
}

// TestImagesCountAsTheirMakersSay: the figures are the examples of OpenAI's,
// Anthropic's and Google's guides.
func TestImagesCountAsTheirMakersSay(t *testing.T) {
	for _, tc := range []struct {
		provider, model string
		w, h            int
		detail          string
		want            int64
	}{
		{"openai", "gpt-4o", 1024, 1024, "high", 765},
		{"openai", "gpt-4o", 2048, 4096, "high", 1105},
		{"openai", "gpt-4o", 4096, 8192, "low", 85},
		{"openai", "gpt-4o", 150, 150, "auto", 255},
		{"openai", "gpt-4.1-2025-04-14", 1024, 1024, "", 765},
		{"openai", "gpt-4-turbo", 1024, 1024, "", 765},
		{"openai", "gpt-4o-mini", 1024, 1024, "high", 25_501},
		{"openai", "ft:gpt-4o-mini-2024-07-18:team::id", 1024, 1024, "low", 2833},
		{"openai", "gpt-4.1-mini", 1024, 1024, "", 1659},
		{"openai", "gpt-4.1-nano", 1024, 1024, "high", 2520},
		{"openai", "o4-mini", 1024, 1024, "", 1762},
		{"openai", "gpt-4.1-mini", 1800, 2400, "", 2353}, // 1,452 patches
		{"openai", "gpt-5-nano", 8000, 8000, "", 3742},   // 39 × 39
		{"openai", "gpt-5-mini", 8000, 8000, "low", 415},
		{"openai", "gpt-5", 1024, 1024, "", 630},
		{"openai", "gpt-5.1", 1024, 1024, "", 630},
		{"openai", "o3", 1024, 1024, "high", 675},
		{"openai", "gpt-5.4", 1600, 1600, "high", 4050},
		{"openai", "gpt-5.4", 3200, 3200, "", 4050},
		{"openai", "gpt-5.5", 3200, 3200, "", 16_200},
		{"anthropic", "claude-3-5-sonnet-20241022", 1092, 1092, "", 1590},
		{"anthropic", "claude-3-5-sonnet-20241022", 200, 200, "", 54},
		{"anthropic", "claude-3-5-sonnet-20241022", 9000, 9000, "", 1600},
		{"anthropic", "claude-opus-5", 2000, 1500, "", 4000},
		{"gemini", "gemini-2.5-flash", 960, 540, "", 1548},
		{"gemini", "gemini-2.5-flash", 300, 300, "", 1120},
	} {
		part := []byte(imagePart(sized(tc.w, tc.h), tc.detail))
		c := For(tc.provider, tc.model)
		m, ok := MediaOf(part)
		if e := c.Media(m); !ok || e.Tokens != tc.want || e.High != tc.want || e.Low > tc.want || c.Family != Gemini && e.Low != tc.want {
			t.Errorf("%s: %d×%d, detail %q: %+v, want %d", tc.model, tc.w, tc.h, tc.detail, e, tc.want)
		}
		messages := []byte(`[{"role":"user","content":[` + string(part) + `,` + string(part) + `]}]`)
		if got, want := c.CountMessages(messages), c.CountMessages([]byte(`[{"role":"user","content":[]}]`))+2*tc.want; got != want {
			t.Errorf("%s: CountMessages with two images = %d, want %d", tc.model, got, want)
		}
		if rough := c.RoughMessages(messages); rough < 2*tc.want {
			t.Errorf("%s: RoughMessages = %d, want at least both images", tc.model, rough)
		}
	}
}

// TestImagesOfUnknownSizeCountTheMost: no size costs more than what is not known.
func TestImagesOfUnknownSizeCountTheMost(t *testing.T) {
	for _, model := range []string{"gpt-4o", "gpt-4o-mini", "gpt-4.1-mini", "o1", "gpt-5", "gpt-5.6", "gpt-7", "claude-3-haiku", "claude-opus-5", "gemini-2.5-pro", "llama"} {
		c := For("", model)
		for _, detail := range []string{"low", "high", "auto", "original", ""} {
			m, _ := MediaOf([]byte(`{"type":"image_url","image_url":{"url":"https://example.com/a.png","detail":"` + detail + `"}}`))
			unknown := c.Media(m)
			usual, _ := MediaOf([]byte(imagePart(sized(1024, 1024), detail)))
			if want := c.Media(usual).Tokens; unknown.Tokens != want || unknown.Low > want || want > unknown.High || unknown.Low < 1 {
				t.Errorf("%s: detail %q of unknown size: %+v", model, detail, unknown)
			}
			for _, size := range [][2]int{{1, 1}, {100, 100}, {512, 512}, {768, 2048}, {769, 2049}, {1024, 1024}, {2000, 1000}, {3000, 9000}, {10_000, 10_000}, {4000, 1100}, {31, 33}} {
				m, _ := MediaOf([]byte(imagePart(sized(size[0], size[1]), detail)))
				if e := c.Media(m); e.High > unknown.High || e.Low < unknown.Low || e.Low < 1 || e.Low > e.High {
					if c.Family != Gemini || size[0]*size[1] < 3000*9000 { // Google cuts as many tiles as it takes
						t.Errorf("%s: %v with detail %q: %+v, want it within %+v", model, size, detail, e, unknown)
					}
				}
			}
		}
	}
}

func TestSizesAreReadFromEveryFormat(t *testing.T) {
	pixels := stdimage.NewPaletted(stdimage.Rect(0, 0, 321, 123), gifColors)
	var asGIF, asJPEG bytes.Buffer
	if err := gif.Encode(&asGIF, pixels, nil); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&asJPEG, pixels, nil); err != nil {
		t.Fatal(err)
	}
	photo := append([]byte{0xff, 0xd8, 0xff, 0xff, 0xe1, 0xff, 0xff}, make([]byte, 0xfffd)...) // what a camera says: 64 KB
	photo = append(photo, asJPEG.Bytes()[2:]...)
	webp := func(kind string, at int, size ...byte) []byte {
		b := make([]byte, 40)
		copy(b, "RIFF\x20\x00\x00\x00WEBP"+kind)
		copy(b[at:], size)
		return b
	}
	for name, data := range map[string][]byte{
		"PNG": pngOf(t, 321, 123), "GIF": asGIF.Bytes(), "JPEG": asJPEG.Bytes(), "photo": photo,
		"WebP": webp("VP8 ", 26, 65, 1, 123, 0), "lossless WebP": webp("VP8L", 21, 320&0xff, 320>>8|122&3<<6, 122>>2, 0), "extended WebP": webp("VP8X", 24, 64, 1, 0, 122, 0, 0),
	} {
		m, ok := MediaOf([]byte(imagePart(data, "")))
		if !ok || m.width != 321 || m.height != 123 {
			t.Errorf("%s: %d×%d, want 321×123", name, m.width, m.height)
		}
		escaped := strings.ReplaceAll(imagePart(data, ""), "/", `\/`)
		if m, _ := MediaOf([]byte(escaped)); m.width != 321 || m.height != 123 {
			t.Errorf("%s with escaped slashes: %d×%d, want 321×123", name, m.width, m.height)
		}
		for n := range 30 { // cut short
			if m, _ := MediaOf([]byte(imagePart(data[:n], ""))); m.width != 0 && m.width != 321 {
				t.Errorf("%d bytes of %s: %d×%d", n, name, m.width, m.height)
			}
		}
	}
	for _, url := range []string{"", "data:", "data:image/png;base64", "data:image/png,abc", "data:image/png;base64,%%%%", "https://example.com/a.png", "AAAA"} {
		if m, ok := MediaOf([]byte(`{"type":"image_url","image_url":{"url":` + quoted(url) + `}}`)); !ok || m.width != 0 {
			t.Errorf("%q: %d×%d, %v, want an image of unknown size", url, m.width, m.height, ok)
		}
	}
}

// TestSoundsAndFilesCountBySize: nobody has heard or read them.
func TestSoundsAndFilesCountBySize(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	wav := func(samples, perSample, perSecond uint32) string { // of 60 times 32,000 bytes
		b := make([]byte, 44+32_000*60)
		copy(b, "RIFF\x00\x00\x00\x00WAVEfmt ")
		binary.LittleEndian.PutUint32(b[24:], samples)
		binary.LittleEndian.PutUint32(b[28:], perSecond)
		binary.LittleEndian.PutUint16(b[32:], uint16(perSample))
		return `{"type":"input_audio","input_audio":{"format":"wav","data":"` + b64(b) + `"}}`
	}
	const most = 32_000 * 60 / 750 * 32 // tokens, if it is compressed as far as can be
	for _, tc := range []struct {
		name, part string
		low, high  int64 // bounds of what the estimate may be
		least      int64 // that High must be
	}{
		{"a minute of sound", wav(16_000, 2, 32_000), 480, 2000, 61 * 32},
		{"sound of the highest quality", wav(192_000, 6, 1_152_000), 16, 2 * 32, 2 * 32},
		{"sound that plays longer than it says", wav(16_000, 2, 1_000_000), 480, 2000, 61 * 32},
		{"sound that says that it takes no time", wav(0xffff_ffff, 0xffff, 0xffff_ffff), most, most + 100, most},
		{"sound that says that it takes forever", wav(0, 0, 0), most, most + 100, most},
		{"sound that says nothing", `{"type":"input_audio","input_audio":{"format":"mp3","data":"` + b64(make([]byte, 750_000)) + `"}}`, 32_000, 32_032, 32_000},
		{"a document", `{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,` + b64(make([]byte, 3_000_000)) + `"}}`, 140_000, 160_000, 1_500_000},
		{"a small document", `{"type":"file","file":{"filename":"a.pdf","file_data":"` + b64(make([]byte, 300)) + `"}}`, 1, 20, 1600},
		{"a document elsewhere", `{"type":"file","file":{"file_id":"file-1"}}`, 1600, 1600, 1600},
		{"what is yet to come", `{"type":"smell","smell":{"url":"x"}}`, 1600, 1600, 1600},
	} {
		messages := []byte(`[{"role":"user","content":[{"type":"text","text":"Hello"},` + tc.part + `]},{"role":"user","content":"Hello"}]`)
		list, size := MediaIn(messages)
		if len(list) != 1 || size != int64(len(tc.part)) {
			t.Fatalf("%s: MediaIn = %v of %d bytes, want one of %d", tc.name, list, size, len(tc.part))
		}
		for f := range Family(families) {
			c := Counter{Family: f}
			e := c.Media(list[0])
			if e.Tokens < tc.low || e.Tokens > tc.high || e.High < tc.least || e.Low > e.Tokens || e.High < e.Tokens {
				t.Errorf("%s: %v: %+v, want %d to %d tokens, at most at least %d", tc.name, f, e, tc.low, tc.high, tc.least)
			}
			if n, bare := c.CountMessages(messages), c.CountMessages([]byte(`[{"role":"user","content":"Hello"},{"role":"user","content":"Hello"}]`)); n-bare < e.Tokens-2 || n-bare > e.Tokens+2 {
				t.Errorf("%s: %v: CountMessages = %d, want %d more than %d", tc.name, f, n, e.Tokens, bare)
			}
		}
	}
	if list, size := MediaIn([]byte(`[{"role":"user","content":"data:image/png;base64,AAAA"},{"role":"user","content":[{"type":"text","text":"a"},5]},{"role":"assistant","content":null}]`)); list != nil || size != 0 {
		t.Errorf("MediaIn = %v of %d bytes in texts, want none", list, size)
	}
}

// TestMeasuresWithMediaAreHonest: the text is counted, the rest is not known.
func TestMeasuresWithMediaAreHonest(t *testing.T) {
	c := For("openai", "gpt-4o-mini")
	photos := func(n int, part string) []byte {
		return []byte(`[{"role":"user","content":[{"type":"text","text":"Which one is best?"},` + strings.Join(slices.Repeat([]string{part}, n), ",") + `]}]`)
	}
	known, unknown := imagePart(sized(1024, 1024), "high"), `{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}`
	if e := measure(t, c, 128_000, photos(20, known)); e.Low <= 20*25_501 || e.High > 20*25_501+30 {
		t.Errorf("twenty images of known size: %+v, want hardly more than %d", e, 20*25_501)
	}
	if e, want := measure(t, c, 4*25_501+15, photos(4, known)), int64(3+4+5+4*25_501); e != (Estimate{want, want, want}) {
		t.Errorf("four images of known size, and a text that decides: %+v, want %d", e, want)
	}
	if e := measure(t, c, 128_000, photos(4, unknown)); e.Low > 4*8500+30 || e.Tokens != 3+4+5+4*25_501 || e.High < 4*48_169 {
		t.Errorf("four images of unknown size: %+v, want 4×25,501, from 4×8,500 to 4×48,169", e)
	}
}

// TestRoughFiguresHoldTheMost: what a stream may still spend goes by them.
func TestRoughFiguresHoldTheMost(t *testing.T) {
	messages := []byte(`[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]`)
	if n := For("openai", "gpt-4o-mini").RoughMessages(messages); n != 3+4+48_169 {
		t.Errorf("RoughMessages = %d of an image of any size, want %d", n, 3+4+48_169)
	}
}

func FuzzMedia(f *testing.F) {
	f.Add(pngOf(f, 3, 4), "high")
	f.Add([]byte{0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 1, 0, 1, 0}, "low")
	f.Add([]byte("RIFF\x00\x00\x00\x00WAVEfmt \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), "")
	f.Fuzz(func(t *testing.T, data []byte, detail string) {
		parts := []string{imagePart(data, "x"), fmt.Sprintf(`{"image_url":{"url":%s,"detail":%s}}`, quoted(string(data)), quoted(detail)),
			`{"input_audio":{"data":"` + base64.StdEncoding.EncodeToString(data) + `"}}`, `{"file":{"file_data":` + quoted(string(data)) + `}}`}
		for _, part := range parts {
			m, _ := MediaOf([]byte(part))
			for _, model := range []string{"gpt-4o", "gpt-4o-mini", "gpt-5-nano", "gpt-5.5", "claude-opus-5", "gemini-2.5-pro", "llama"} {
				if e := For("", model).Media(m); e.Low < 0 || e.Low > e.Tokens || e.Tokens > e.High || e.High > 1<<40 {
					t.Fatalf("%s: %+v of %+v", model, e, m)
				}
			}
		}
	})
}
