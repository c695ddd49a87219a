package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/devmentor/ai-gateway/shared/prompt"
	"github.com/devmentor/ai-gateway/shared/tokens"
)

// windows are the sizes at which dialogues are cut down.
var windows = []int64{1024, 2048, 4096, 8192}

// dialogue is a long conversation with questions about it, and the turns that
// hold the answers.
type dialogue struct {
	ID       string
	Messages []json.RawMessage
	QA       []struct {
		Question string
		Evidence []string
	}
}

// measureChats prints how much of the evidence for questions survives when a
// dialogue is cut down to a window, and how much if the oldest turns were left
// out instead. It returns the windows at which that would not be worse.
func measureChats(path string) (bad []string, err error) {
	dialogues, err := readLines[dialogue](path)
	if err != nil {
		return nil, err
	}
	fmt.Printf("\n%-16s %9s %9s %15s %13s\n", "dialogues", "window", "questions", "evidence kept", "oldest first")
	for _, size := range windows {
		questions, ours, theirs := 0, 0.0, 0.0
		for _, d := range dialogues {
			n, a, b, err := d.survival(size)
			if err != nil {
				return nil, err
			}
			questions, ours, theirs = questions+n, ours+a, theirs+b
		}
		n := float64(questions)
		fmt.Printf("%-16d %9d %9d %14.1f%% %12.1f%%\n", len(dialogues), size, questions, 100*ours/n, 100*theirs/n)
		if ours <= theirs {
			bad = append(bad, fmt.Sprintf("at %d tokens %.3f of the evidence is kept, %.3f if the oldest is left out", size, ours/n, theirs/n))
		}
	}
	return bad, nil
}

// survival adds up, over d's questions, which part of the evidence is kept by
// Fit, and by leaving out the oldest.
func (d *dialogue) survival(size int64) (questions int, ours, theirs float64, _ error) {
	counter := tokens.For("openai", "gpt-4o")
	at := map[string]int{}
	var clean []json.RawMessage
	var costs []int64
	for i, raw := range d.Messages {
		var m struct {
			Role    string `json:"role"`
			Name    string `json:"name"`
			Content string `json:"content"`
			DiaID   string `json:"dia_id"`
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			return 0, 0, 0, err
		}
		at[m.DiaID] = i
		plain, err := json.Marshal(map[string]string{"role": m.Role, "name": m.Name, "content": m.Content})
		if err != nil {
			return 0, 0, 0, err
		}
		clean = append(clean, plain)
		costs = append(costs, counter.CountMessage(plain))
	}
	for _, q := range d.QA {
		var evidence []int
		for _, id := range q.Evidence {
			if i, ok := at[id]; ok {
				evidence = append(evidence, i)
			}
		}
		if len(evidence) == 0 {
			continue
		}
		question, err := json.Marshal(map[string]string{"role": "user", "content": q.Question})
		if err != nil {
			return 0, 0, 0, err
		}
		fitted, err := prompt.Window{Size: size, Counter: counter, Strategy: prompt.Truncate}.Fit(context.Background(), append(clean[:len(clean):len(clean)], question))
		if err != nil {
			return 0, 0, 0, err
		}
		kept := map[int]bool{}
		for _, i := range fitted.Kept {
			kept[i] = true
		}
		oldest := len(costs) // the first that is kept when the oldest are left out
		for left := size - counter.CountMessages([]byte("[]")) - counter.CountMessage(question); oldest > 0 && costs[oldest-1] <= left; oldest-- {
			left -= costs[oldest-1]
		}
		var a, b float64
		for _, i := range evidence {
			if kept[i] {
				a++
			}
			if i >= oldest {
				b++
			}
		}
		questions++
		ours += a / float64(len(evidence))
		theirs += b / float64(len(evidence))
	}
	return questions, ours, theirs, nil
}
