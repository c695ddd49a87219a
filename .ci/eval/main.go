// Command eval measures how well retrieval finds what people judged relevant:
// nDCG@10 of the offline index, without any embedding model, on corpora in the
// usual form (docs.jsonl, queries.jsonl, qrels.tsv); and how much of what
// questions are about survives when long dialogues are cut down to a window.
//
//	eval -data ../shared/data
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/rag"
)

// cutoff is how many documents of an answer count.
const cutoff = 10

// corpora and the least nDCG@10 that they must reach.
var corpora = []struct {
	name  string
	least float64
}{{"retrieval", 0.40}, {"retrieval-code", 0.40}}

func main() {
	data := flag.String("data", "", "folder that holds the corpora")
	flag.Parse()
	if err := run(*data); err != nil {
		fmt.Fprintln(os.Stderr, "eval:", err)
		os.Exit(1)
	}
}

func run(data string) error {
	fmt.Printf("%-16s %7s %8s %7s %8s %10s %10s\n", "corpus", "docs", "passages", "queries", "nDCG@10", "passages/s", "query p50")
	var bad []string
	for _, c := range corpora {
		score, err := measure(filepath.Join(data, c.name))
		if err != nil {
			return err
		}
		if score < c.least {
			bad = append(bad, fmt.Sprintf("%s: nDCG@%d %.4f is below %.2f", c.name, cutoff, score, c.least))
		}
	}
	worse, err := measureChats(filepath.Join(data, "chats", "locomo.jsonl"))
	if err != nil {
		return err
	}
	if bad = append(bad, worse...); bad != nil {
		return errors.New(strings.Join(bad, "; "))
	}
	return nil
}

type text struct{ ID, Text string }

func measure(dir string) (float64, error) {
	docs, err := readLines[text](filepath.Join(dir, "docs.jsonl"))
	if err != nil {
		return 0, err
	}
	queries, err := readLines[text](filepath.Join(dir, "queries.jsonl"))
	if err != nil {
		return 0, err
	}
	relevant, err := readJudgements(filepath.Join(dir, "qrels.tsv"))
	if err != nil {
		return 0, err
	}
	var index rag.Inverted
	var analyzer rag.Analyzer
	doc, passages := map[uint32]string{}, map[uint32]rag.Passage{}
	start := time.Now()
	for _, d := range docs {
		kind := rag.GuessKind(d.Text)
		language := ""
		if kind == rag.Code {
			language = rag.GuessLanguage(d.Text)
		}
		for _, p := range rag.Split(kind, language, d.Text) {
			slot := index.Add(analyzer.Terms(p))
			doc[slot], passages[slot] = d.ID, p
		}
	}
	rate := float64(index.Len()) / time.Since(start).Seconds()
	var sum float64
	var times []time.Duration
	for _, q := range queries {
		start := time.Now()
		hits, err := index.Find(rag.QueryTerms(q.Text), 4*cutoff, nil, func(slot uint32) (rag.Passage, error) { return passages[slot], nil })
		if err != nil {
			return 0, err
		}
		times = append(times, time.Since(start))
		var found []string
		for _, h := range hits {
			if id := doc[h.Slot]; !slices.Contains(found, id) {
				found = append(found, id)
			}
		}
		sum += ndcg(found, relevant[q.ID])
	}
	slices.Sort(times)
	score := sum / float64(len(queries))
	fmt.Printf("%-16s %7d %8d %7d %8.4f %10.0f %10s\n", filepath.Base(dir), len(docs), index.Len(), len(queries), score, rate, times[len(times)/2].Round(time.Microsecond))
	return score, nil
}

// ndcg is the gain of a ranking over that of the best possible one.
func ndcg(found []string, relevant map[string]float64) float64 {
	var gain, ideal float64
	for i, id := range found[:min(cutoff, len(found))] {
		gain += relevant[id] / math.Log2(float64(i)+2)
	}
	var best []float64
	for _, g := range relevant {
		best = append(best, g)
	}
	slices.Sort(best)
	slices.Reverse(best)
	for i, g := range best[:min(cutoff, len(best))] {
		ideal += g / math.Log2(float64(i)+2)
	}
	if ideal == 0 {
		return 0
	}
	return gain / ideal
}

// readLines reads a file of one JSON value per line; there must be some.
func readLines[T any](path string) ([]T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []T
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var t T
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, len(list)+1, err)
		}
		list = append(list, t)
	}
	if len(list) == 0 && lines.Err() == nil {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return list, lines.Err()
}

func readJudgements(path string) (map[string]map[string]float64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	relevant := map[string]map[string]float64{}
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		if i == 0 { // the header
			continue
		}
		var query, doc string
		var score float64
		if _, err := fmt.Sscan(line, &query, &doc, &score); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, i+1, err)
		}
		if relevant[query] == nil {
			relevant[query] = map[string]float64{}
		}
		relevant[query][doc] = score
	}
	return relevant, nil
}
