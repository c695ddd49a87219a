package dynamo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/recipe"
)

// Recipes keeps templates and chains in the state table. A head and its
// versions are items of their own:
//
//	pk RCP#<kind>#<tenant>, sk name             the head
//	  f, n           the first and the latest version there is
//	  h              SHA-256 of the latest
//	  lb {label: n}, c, u
//	  v              grows with every change, which is conditional on it
//	  x 1            deleted: only n still counts, because numbers are not used again
//	pk RCV#<kind>#<name>#<tenant>, sk number    a version
//	  b, c, a        body, created, author
//
// A version by its number is one read, by a label or as the latest two.
type Recipes struct{ s *Store }

var _ recipe.Store = (*Recipes)(nil)

// Recipes returns the templates and chains in the state table.
func (s *Store) Recipes() *Recipes { return &Recipes{s} }

const (
	headPrefix    = "RCP#"
	versionPrefix = "RCV#"
)

type recipeHead struct {
	recipe.Head
	first    int
	sum      []byte
	revision int64 // 0 if there is no item
	deleted  bool
}

func (h *recipeHead) present() bool { return h.revision > 0 && !h.deleted }

func recipeKey(tenant string, kind recipe.Kind, name string) map[string]types.AttributeValue {
	return key(headPrefix+string(kind)+"#"+tenant, name)
}

// versionsOf is the partition of a recipe's versions. Kind and name have no #
// in them; the tenant may.
func versionsOf(tenant string, kind recipe.Kind, name string) string {
	return versionPrefix + string(kind) + "#" + name + "#" + tenant
}

func versionSK(number int) string { return fmt.Sprintf("%010d", number) }

// Version implements recipe.Reader.
func (r *Recipes) Version(ctx context.Context, tenant string, kind recipe.Kind, name string, ref recipe.Ref) (recipe.Version, error) {
	number := ref.Number
	if number <= 0 {
		h, err := r.head(ctx, tenant, kind, name)
		if err != nil {
			return recipe.Version{}, fail(ctx, "version", err)
		}
		if !h.present() {
			return recipe.Version{}, recipe.Missing(kind, name, recipe.Ref{})
		}
		number = h.Number(ref)
	}
	v, err := r.version(ctx, tenant, kind, name, number)
	if err != nil {
		return recipe.Version{}, fail(ctx, "version", err)
	}
	if v.Number == 0 {
		if _, err := r.Head(ctx, tenant, kind, name); err != nil {
			return recipe.Version{}, err // there is not even the recipe
		}
		return recipe.Version{}, recipe.Missing(kind, name, ref)
	}
	return v, nil
}

// version reads one; its Number is 0 if there is none.
func (r *Recipes) version(ctx context.Context, tenant string, kind recipe.Kind, name string, number int) (recipe.Version, error) {
	if number <= 0 {
		return recipe.Version{}, nil
	}
	it, err := r.s.get(ctx, r.s.state, key(versionsOf(tenant, kind, name), versionSK(number)))
	if err != nil || it == nil {
		return recipe.Version{}, err
	}
	return readVersion(name, it)
}

func readVersion(name string, it map[string]types.AttributeValue) (recipe.Version, error) {
	in := reader{item: it}
	v := recipe.Version{Name: name, Number: in.int("sk"), Body: in.bytes("b"), Created: in.moment("c"), Author: in.str("a")}
	return v, in.err
}

// Head implements recipe.Store.
func (r *Recipes) Head(ctx context.Context, tenant string, kind recipe.Kind, name string) (recipe.Head, error) {
	h, err := r.head(ctx, tenant, kind, name)
	if err != nil {
		return recipe.Head{}, fail(ctx, "recipe", err)
	}
	if !h.present() {
		return recipe.Head{}, recipe.Missing(kind, name, recipe.Ref{})
	}
	return h.Head, nil
}

// head reads a head, present or not.
func (r *Recipes) head(ctx context.Context, tenant string, kind recipe.Kind, name string) (recipeHead, error) {
	it, err := r.s.get(ctx, r.s.state, recipeKey(tenant, kind, name))
	if err != nil || it == nil {
		return recipeHead{}, err
	}
	return readHead(it)
}

func readHead(it map[string]types.AttributeValue) (recipeHead, error) {
	in := reader{item: it}
	h := recipeHead{
		Head:  recipe.Head{Name: in.str("sk"), Latest: int(in.num("n")), Created: in.moment("c"), Updated: in.moment("u")},
		first: int(in.num("f")), sum: in.bytes("h"), revision: in.num("v"), deleted: in.num("x") == 1,
	}
	h.Labels = map[string]int{}
	for l, number := range readNumbers[int64](&in, "lb") {
		h.Labels[l] = int(number)
	}
	return h, in.err
}

// List implements recipe.Store.
func (r *Recipes) List(ctx context.Context, tenant string, kind recipe.Kind, after string, limit int) ([]recipe.Head, error) {
	in := r.s.partition(headPrefix+string(kind)+"#"+tenant, "sk > :sk", after)
	in.FilterExpression = aws.String("attribute_not_exists(x)")
	var page []recipe.Head
	err := r.s.each(ctx, in, limit, func(it map[string]types.AttributeValue) error {
		h, err := readHead(it)
		page = append(page, h.Head)
		return err
	})
	if err != nil {
		return nil, fail(ctx, "list recipes", err)
	}
	return page, nil
}

// Versions implements recipe.Store.
func (r *Recipes) Versions(ctx context.Context, tenant string, kind recipe.Kind, name string, before, limit int) ([]recipe.Version, error) {
	below := ""
	if before > 0 {
		below = versionSK(before)
	}
	in := r.s.partition(versionsOf(tenant, kind, name), "sk < :sk", below)
	in.ScanIndexForward = aws.Bool(false)
	var page []recipe.Version
	err := r.s.each(ctx, in, limit, func(it map[string]types.AttributeValue) error {
		v, err := readVersion(name, it)
		page = append(page, v)
		return err
	})
	if err != nil {
		return nil, fail(ctx, "versions", err)
	}
	if len(page) == 0 { // nothing there, or nothing so far down
		_, err = r.Head(ctx, tenant, kind, name)
	}
	return page, err
}

// Add implements recipe.Store: a version and its head in one transaction, which
// fails if the head has changed since it was read.
func (r *Recipes) Add(ctx context.Context, tenant string, kind recipe.Kind, v recipe.Version, labels []string) (_ recipe.Version, _ recipe.Head, added bool, _ error) {
	at := v.Created.UTC()
	sum := sha256.Sum256(v.Body)
	h, err := r.change(ctx, tenant, kind, v.Name, func(_ context.Context, h *recipeHead) (with types.TransactWriteItem, changed bool, _ error) {
		if added = !h.present() || string(h.sum) != string(sum[:]); added {
			if !h.present() {
				h.Head, h.first, h.deleted = recipe.Head{Name: v.Name, Latest: h.Latest, Labels: map[string]int{}, Created: at}, h.Latest+1, false
			}
			h.Latest++
			h.sum = sum[:]
		}
		v.Number = h.Latest
		changed = added
		for _, l := range labels {
			changed = changed || h.Labels[l] != v.Number
			h.Labels[l] = v.Number
		}
		if len(h.Labels) > recipe.MaxLabels {
			return with, false, recipe.TooManyLabels()
		}
		if changed {
			h.Updated = at
		}
		if added {
			it := key(versionsOf(tenant, kind, v.Name), versionSK(v.Number))
			it["b"], it["c"], it["a"] = blob(v.Body), moment(at), str(v.Author)
			with.Put = &types.Put{TableName: &r.s.state, Item: it}
		}
		return with, changed, nil
	})
	if err != nil {
		return recipe.Version{}, recipe.Head{}, false, known(ctx, "add", err)
	}
	if v.Created = at; added {
		return v, h.Head, true, nil
	}
	old, err := r.version(ctx, tenant, kind, v.Name, h.Latest)
	if err != nil {
		return recipe.Version{}, recipe.Head{}, false, fail(ctx, "add", err)
	}
	if old.Number == 0 { // deleted a moment ago
		return r.Add(ctx, tenant, kind, v, labels)
	}
	return old, h.Head, false, nil
}

// Label implements recipe.Store.
func (r *Recipes) Label(ctx context.Context, tenant string, kind recipe.Kind, name, label string, number int, at time.Time) (recipe.Head, error) {
	h, err := r.change(ctx, tenant, kind, name, func(_ context.Context, h *recipeHead) (none types.TransactWriteItem, changed bool, _ error) {
		switch {
		case !h.present():
			return none, false, recipe.Missing(kind, name, recipe.Ref{})
		case number != 0 && (number < h.first || number > h.Latest):
			return none, false, recipe.Missing(kind, name, recipe.Ref{Number: number})
		case h.Labels[label] == number:
			return none, false, nil
		case number == 0:
			delete(h.Labels, label)
		default:
			h.Labels[label] = number
		}
		if len(h.Labels) > recipe.MaxLabels {
			return none, false, recipe.TooManyLabels()
		}
		h.Updated = at.UTC()
		return none, true, nil
	})
	return h.Head, known(ctx, "label", err)
}

// Delete implements recipe.Store. The latest version and the head go together,
// and last, so that a deletion that failed can be repeated; what it has deleted
// by then is no version any more.
func (r *Recipes) Delete(ctx context.Context, tenant string, kind recipe.Kind, name string) error {
	_, err := r.change(ctx, tenant, kind, name, func(ctx context.Context, h *recipeHead) (last types.TransactWriteItem, _ bool, _ error) {
		if !h.present() {
			return last, false, recipe.Missing(kind, name, recipe.Ref{})
		}
		if h.first < h.Latest { // come again when this is known to all
			h.first = h.Latest
			maps.DeleteFunc(h.Labels, func(_ string, number int) bool { return number < h.first })
			return last, true, errAgain
		}
		of := versionsOf(tenant, kind, name)
		if err := r.s.deleteAll(ctx, r.s.partition(of, "sk < :sk", versionSK(h.Latest))); err != nil {
			return last, false, err
		}
		*h = recipeHead{Head: recipe.Head{Name: name, Latest: h.Latest}, revision: h.revision, deleted: true}
		last.Delete = &types.Delete{TableName: &r.s.state, Key: key(of, versionSK(h.Latest))}
		return last, true, nil
	})
	return known(ctx, "delete recipe", err)
}

// errAgain says that what was changed is not all of it.
var errAgain = errors.New("more to do")

// change lets f change a head, and writes it together with what f returns, if
// anything, unless nothing changed. It does so again as long as others change
// the head meanwhile, or f says errAgain, within the store's patience.
func (r *Recipes) change(ctx context.Context, tenant string, kind recipe.Kind, name string,
	f func(ctx context.Context, h *recipeHead) (with types.TransactWriteItem, changed bool, _ error),
) (recipeHead, error) {
	ctx, cancel := context.WithTimeout(ctx, r.s.patience)
	defer cancel()
	for pause := firstPause; ; {
		h, err := r.head(ctx, tenant, kind, name)
		if err != nil {
			return recipeHead{}, err
		}
		with, changed, again := f(ctx, &h)
		if again != nil && !errors.Is(again, errAgain) || !changed {
			return h, again
		}
		err = r.write(ctx, tenant, kind, &h, with)
		switch {
		case err == nil && again == nil:
			return h, nil
		case err == nil:
			continue
		case !lostRace(err):
			return recipeHead{}, err
		}
		if !sleep(ctx, pause) {
			return recipeHead{}, err
		}
		pause = min(2*pause, maxPause)
	}
}

// write puts h in the place of the head that it was read from. A put whose
// answer was lost fails when it is repeated, and is found done by who reads
// again; a transaction can be repeated.
func (r *Recipes) write(ctx context.Context, tenant string, kind recipe.Kind, h *recipeHead, with types.TransactWriteItem) error {
	it := recipeKey(tenant, kind, h.Name)
	labels := make(map[string]int64, len(h.Labels))
	for l, number := range h.Labels {
		labels[l] = int64(number)
	}
	it["n"], it["v"] = n(int64(h.Latest)), n(h.revision+1)
	if h.deleted {
		it["x"] = one
	} else {
		it["f"], it["h"], it["lb"], it["c"], it["u"] = n(int64(h.first)), blob(h.sum), numbers(labels), moment(h.Created), moment(h.Updated)
	}
	unchanged := "attribute_not_exists(pk)"
	var values map[string]types.AttributeValue
	if h.revision > 0 {
		unchanged, values = "v = :seen", map[string]types.AttributeValue{":seen": n(h.revision)}
	}
	if with.Put == nil && with.Delete == nil {
		return r.s.put(ctx, new(trips), &dynamodb.PutItemInput{TableName: &r.s.state, Item: it, ConditionExpression: &unchanged, ExpressionAttributeValues: values})
	}
	return r.s.transact(ctx, new(trips), with, types.TransactWriteItem{Put: &types.Put{TableName: &r.s.state, Item: it,
		ConditionExpression: &unchanged, ExpressionAttributeValues: values}})
}
