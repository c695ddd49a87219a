package dynamotest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/devmentor/ai-gateway/shared/dynamotest"
)

func TestEndpointAnswersAndStaysTheSame(t *testing.T) {
	first := dynamotest.Endpoint(t)
	if second := dynamotest.Endpoint(t); second != first {
		t.Errorf("second Endpoint = %s, want %s again", second, first)
	}
	if _, err := dynamotest.Client(t).ListTables(t.Context(), &dynamodb.ListTablesInput{}); err != nil {
		t.Errorf("ListTables = %v, want nil", err)
	}
}

func TestEndpointHonoursTheSDKsVariable(t *testing.T) {
	t.Setenv(dynamotest.EndpointVar, "http://127.0.0.1:1")
	if got := dynamotest.Endpoint(t); got != "http://127.0.0.1:1" {
		t.Errorf("Endpoint = %s, want the variable's value", got)
	}
}
