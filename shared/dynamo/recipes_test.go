package dynamo_test

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/dynamotest"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

func TestRecipesConform(t *testing.T) {
	state, ledger := newTables(t)
	storetest.RunRecipes(t, func(t *testing.T) recipe.Store {
		return open(dynamotest.Client(t), state, ledger).Recipes()
	})
}
