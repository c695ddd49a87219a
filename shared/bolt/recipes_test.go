package bolt

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

func TestRecipesConform(t *testing.T) {
	storetest.RunRecipes(t, func(t *testing.T) recipe.Store { return openTest(t, t.TempDir()).Recipes() })
}
