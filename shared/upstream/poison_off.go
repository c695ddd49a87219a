//go:build !race

package upstream

const poison = false
