module github.com/devmentor/ai-gateway

go 1.26
