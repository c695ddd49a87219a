package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
)

// What admission needs of a key is a rule in the account's item; what people
// want to know of it is an item of its own, which no request pays for. A key
// without a rule opens nothing, so the description is written first and the
// rule removed first.
const keyPrefix = "K#"

func keyItem(user string, k admission.Key) map[string]types.AttributeValue {
	it := key(userPrefix+user, keyPrefix+k.ID)
	it["h"], it["nm"], it["hint"] = str(k.Hash), str(k.Name), str(k.Hint)
	it["m"], it["s"] = list(k.Models), list(k.Scopes)
	it["c"], it["x"], it["rv"] = moment(k.Created), moment(k.Expires), flag(k.Revoked)
	return it
}

func readKey(it map[string]types.AttributeValue) (admission.Key, error) {
	r := reader{item: it}
	k := admission.Key{Hash: r.str("h"), Name: r.str("nm"), Hint: r.str("hint"), Models: r.list("m"), Scopes: r.list("s"),
		Created: r.moment("c"), Expires: r.moment("x"), Revoked: r.num("rv") == 1}
	if sk := r.str("sk"); len(sk) > len(keyPrefix) {
		k.ID = sk[len(keyPrefix):]
	}
	return k, r.err
}

// PutKey implements admission.Keys. Rules change by compare-and-set of all of
// them, which keeps their number exact.
func (s *Store) PutKey(ctx context.Context, user string, k admission.Key) error {
	described := false
	for range maxChanges {
		a, err := s.User(ctx, user)
		if err != nil {
			return s.undescribe(ctx, user, k, described, err)
		}
		next := map[string]admission.Rule{}
		now := time.Now()
		for hash, r := range a.Keys {
			if hash != k.Hash && r.Expires > now.Unix() {
				next[hash] = r
			}
		}
		if k.Live(now) {
			next[k.Hash] = k.Rule()
		}
		if len(next) > admission.MaxKeys {
			return s.undescribe(ctx, user, k, described, fault.New(fault.Conflict, "A user may have %d keys.", admission.MaxKeys))
		}
		if !described {
			if err := s.put(ctx, new(trips), &dynamodb.PutItemInput{TableName: &s.state, Item: keyItem(user, k)}); err != nil {
				return fail(ctx, "put key", err)
			}
			described = true
		}
		_, err = s.update(ctx, new(trips), &dynamodb.UpdateItemInput{
			TableName: &s.state, Key: accountKey(user),
			UpdateExpression: aws.String("SET k = :new"), ConditionExpression: aws.String("k = :old OR k = :new"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":old": rules(a.Keys), ":new": rules(next)},
		})
		if err == nil {
			return nil
		}
		if _, changed := refused(err); !changed {
			return fail(ctx, "put key", err)
		}
	}
	return fail(ctx, "put key", errBusyUser)
}

// undescribe takes back the description of a key that could not be added after
// all, and returns why.
func (s *Store) undescribe(ctx context.Context, user string, k admission.Key, described bool, why error) error {
	if described {
		// If this fails the key is listed as revoked, which is what it is.
		_ = s.delete(ctx, new(trips), &dynamodb.DeleteItemInput{TableName: &s.state, Key: key(userPrefix+user, keyPrefix+k.ID)})
	}
	return why
}

// RevokeKey implements admission.Keys.
func (s *Store) RevokeKey(ctx context.Context, user, id string) error {
	a, err := s.User(ctx, user)
	if err != nil {
		return err
	}
	known := false
	for hash := range a.Keys {
		if admission.KeyID(hash) != id {
			continue
		}
		known = true
		_, err := s.update(ctx, new(trips), &dynamodb.UpdateItemInput{
			TableName: &s.state, Key: accountKey(user), ExpressionAttributeNames: map[string]string{"#k": hash},
			UpdateExpression: aws.String("REMOVE k.#k"), ConditionExpression: aws.String("attribute_exists(pk)"),
		})
		if _, gone := refused(err); gone {
			return noUser(user)
		}
		if err != nil {
			return fail(ctx, "revoke key", err)
		}
	}
	_, err = s.update(ctx, new(trips), &dynamodb.UpdateItemInput{
		TableName: &s.state, Key: key(userPrefix+user, keyPrefix+id),
		UpdateExpression: aws.String("SET rv = :one"), ConditionExpression: aws.String("attribute_exists(pk)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":one": one},
	})
	if _, missing := refused(err); missing {
		if known {
			return nil
		}
		return fault.New(fault.NotFound, "There is no key %q.", id)
	}
	if err != nil {
		return fail(ctx, "revoke key", err)
	}
	return nil
}

// ListKeys implements admission.Keys.
func (s *Store) ListKeys(ctx context.Context, user string) ([]admission.Key, error) {
	a, err := s.User(ctx, user)
	if err != nil {
		return nil, err
	}
	items, err := s.keyItems(ctx, user)
	if err != nil {
		return nil, fail(ctx, "list keys", err)
	}
	keys := make([]admission.Key, 0, len(items))
	for _, it := range items {
		k, err := readKey(it)
		if err != nil {
			return nil, fail(ctx, "list keys", err)
		}
		// Without a rule a key is dead: revoked, or expired and cleared away.
		if _, live := a.Keys[k.Hash]; !live && k.Live(time.Now()) {
			k.Revoked = true
		}
		delete(a.Keys, k.Hash)
		keys = append(keys, k)
	}
	for hash, r := range a.Keys { // a rule that nothing describes still opens the door
		k := admission.Key{ID: admission.KeyID(hash), Hash: hash, Models: r.Models, Scopes: r.Scopes, Revoked: r.Expires == 0}
		if r.Expires != admission.Never && r.Expires != 0 {
			k.Expires = time.Unix(r.Expires, 0).UTC()
		}
		keys = append(keys, k)
	}
	admission.SortKeys(keys)
	return keys, nil
}

func (s *Store) keyItems(ctx context.Context, user string) ([]map[string]types.AttributeValue, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.state, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk AND begins_with(sk, :key)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": str(userPrefix + user), ":key": str(keyPrefix)},
	}
	var items []map[string]types.AttributeValue
	for {
		out, err := s.query(ctx, in)
		if err != nil {
			return nil, err
		}
		items = append(items, out.Items...)
		if out.LastEvaluatedKey == nil {
			return items, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func (s *Store) deleteKeys(ctx context.Context, user string) error {
	items, err := s.keyItems(ctx, user)
	if err != nil {
		return err
	}
	for _, it := range items {
		in := &dynamodb.DeleteItemInput{TableName: &s.state, Key: map[string]types.AttributeValue{"pk": it["pk"], "sk": it["sk"]}}
		if err := s.delete(ctx, new(trips), in); err != nil {
			return err
		}
	}
	return nil
}
