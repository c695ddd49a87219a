package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// transform prints what SAM makes of template.yaml: the real translator, and
// not our idea of it. It ends with 3 where the translator is not installed.
const transform = `
import json, logging, os, sys
logging.disable(logging.CRITICAL)
try:
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator
    from samtranslator.yaml_helper import yaml_parse
except ImportError:
    sys.exit(3)
os.environ["AWS_DEFAULT_REGION"] = "eu-central-1"
with open("template.yaml") as f:
    template = yaml_parse(f)
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
json.dump(Translator({}, Parser()).translate(template, {}), sys.stdout)
`

type resource struct {
	Type, DeletionPolicy, UpdateReplacePolicy string
	Properties                                map[string]any
}

var transformed = sync.OnceValues(func() (map[string]resource, error) {
	out, err := exec.Command("python3", "-c", transform).Output()
	if err != nil {
		if e, ok := errors.AsType[*exec.ExitError](err); ok && e.ExitCode() != 3 {
			err = fmt.Errorf("%w\n%s", err, e.Stderr)
		}
		return nil, err
	}
	var t struct{ Resources map[string]resource }
	return t.Resources, json.Unmarshal(out, &t)
})

func deployed(t *testing.T) map[string]resource {
	t.Helper()
	resources, err := transformed()
	e, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return resources
	case (errors.Is(err, exec.ErrNotFound) || exited && e.ExitCode() == 3) && os.Getenv("CI") != "true":
		t.Skip("needs SAM's translator: pip install aws-sam-translator")
	}
	t.Fatal(err)
	return nil
}

func ofType(resources map[string]resource, typ string) map[string]resource {
	found := maps.Clone(resources)
	maps.DeleteFunc(found, func(_ string, r resource) bool { return r.Type != typ })
	return found
}

// at follows a path of names into nested objects; nil if there is no such thing.
func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// wantAt checks a value inside nested objects.
func wantAt(t *testing.T, what string, v any, want any, path ...string) {
	t.Helper()
	if got := at(v, path...); !cmp.Equal(got, want) {
		t.Errorf("%s: %s = %v, want %v", what, strings.Join(path, "."), got, want)
	}
}

func TestDeployedRoutesStream(t *testing.T) {
	apis := ofType(deployed(t), "AWS::ApiGateway::RestApi")
	if len(apis) != 1 {
		t.Fatalf("%d APIs, want 1", len(apis))
	}
	api := apis["Api"].Properties
	wantAt(t, "Api", api, []any{"REGIONAL"}, "EndpointConfiguration", "Types")
	if stages := ofType(deployed(t), "AWS::ApiGateway::Stage"); len(stages) != 1 {
		t.Errorf("%d stages, want 1", len(stages))
	}
	for id, d := range ofType(deployed(t), "AWS::ApiGateway::Deployment") {
		wantAt(t, id, d.Properties, nil, "StageName") // SAM's own, beside ours, unless OpenApiVersion is set
	}
	timeouts := map[string]float64{}
	for path, methods := range at(api, "Body", "paths").(map[string]any) {
		for method, operation := range methods.(map[string]any) {
			what := method + " " + path
			integration := at(operation, "x-amazon-apigateway-integration")
			wantAt(t, what, integration, "aws_proxy", "type")
			wantAt(t, what, integration, "POST", "httpMethod")
			wantAt(t, what, integration, "STREAM", "responseTransferMode")
			uri, _ := at(integration, "uri", "Fn::Sub").(string)
			if !strings.Contains(uri, ":lambda:path/2021-11-15/functions/") || !strings.HasSuffix(uri, "/response-streaming-invocations") {
				t.Errorf("%s: uri = %q is not that of a streaming integration", what, uri)
			}
			ms, ok := at(integration, "timeoutInMillis").(float64)
			if !ok {
				t.Errorf("%s: no timeout; it would be 29 s", what)
			}
			timeouts[path] = ms
		}
	}
	if timeouts["/ai/chat/completions"] != 900_000 || timeouts["/ai/v1/chat/completions"] != 900_000 || timeouts["/ai/models/{id+}"] == 0 {
		t.Errorf("timeouts = %v", timeouts)
	}
}

func TestDeployedFunctions(t *testing.T) {
	resources := deployed(t)
	fns := ofType(resources, "AWS::Lambda::Function")
	if len(fns) == 0 {
		t.Fatal("no function")
	}
	groups := ofType(resources, "AWS::Logs::LogGroup")
	for id, fn := range fns {
		p := fn.Properties
		wantAt(t, id, p, "provided.al2023", "Runtime")
		wantAt(t, id, p, "bootstrap", "Handler")
		wantAt(t, id, p, []any{map[string]any{"Ref": "Architecture"}}, "Architectures")
		wantAt(t, id, p, "JSON", "LoggingConfig", "LogFormat")
		if group, _ := at(p, "LoggingConfig", "LogGroup", "Ref").(string); groups[group].Type == "" {
			t.Errorf("%s: LogGroup = %q is none of the template's, so it is kept for ever", id, group)
		}
	}
	for id, g := range groups {
		if g.Properties["RetentionInDays"] == nil {
			t.Errorf("%s keeps logs for ever", id)
		}
	}
	if s := readTemplate(t); s.Parameters["Architecture"].Default != "arm64" {
		t.Errorf("Architecture = %q by default", s.Parameters["Architecture"].Default)
	}
	for id, s := range ofType(resources, "AWS::Scheduler::Schedule") {
		wantAt(t, id, s.Properties, map[string]any{"Fn::Sub": "${AWS::StackName}-sweep"}, "Name") // not the same for all stacks
	}
}

func TestDeployedTables(t *testing.T) {
	tables := ofType(deployed(t), "AWS::DynamoDB::Table")
	if len(tables) != 2 {
		t.Errorf("%d tables, want 2", len(tables))
	}
	for id, table := range tables {
		p := table.Properties
		wantAt(t, id, p, "PAY_PER_REQUEST", "BillingMode")
		wantAt(t, id, p, true, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled")
		wantAt(t, id, p, true, "SSESpecification", "SSEEnabled")
		wantAt(t, id, p, []any{map[string]any{"AttributeName": "pk", "KeyType": "HASH"}, map[string]any{"AttributeName": "sk", "KeyType": "RANGE"}}, "KeySchema")
		if table.DeletionPolicy != "Retain" || table.UpdateReplacePolicy != "Retain" {
			t.Errorf("%s goes with the stack", id)
		}
	}
	wantAt(t, "State", tables["State"].Properties, map[string]any{"AttributeName": "ttl", "Enabled": true}, "TimeToLiveSpecification")
	wantAt(t, "State", tables["State"].Properties, []any{map[string]any{
		"IndexName": "users", "Projection": map[string]any{"ProjectionType": "KEYS_ONLY"},
		"KeySchema": []any{map[string]any{"AttributeName": "gu", "KeyType": "HASH"}, map[string]any{"AttributeName": "pk", "KeyType": "RANGE"}},
	}}, "GlobalSecondaryIndexes")
	wantAt(t, "Ledger", tables["Ledger"].Properties, nil, "TimeToLiveSpecification")
	wantAt(t, "Ledger", tables["Ledger"].Properties, "NEW_IMAGE", "StreamSpecification", "StreamViewType")
}

// TestGatewayResponses: what API Gateway says itself has OpenAI's shape, and
// can be read by browsers.
func TestGatewayResponses(t *testing.T) {
	responses, _ := at(deployed(t)["Api"].Properties, "Body", "x-amazon-apigateway-gateway-responses").(map[string]any)
	status := map[string]any{ // nil: AWS's own
		"DEFAULT_4XX": nil, "DEFAULT_5XX": nil, "MISSING_AUTHENTICATION_TOKEN": "404", "RESOURCE_NOT_FOUND": "404", "REQUEST_TOO_LARGE": "413", "UNSUPPORTED_MEDIA_TYPE": "415",
		"THROTTLED": "429", "QUOTA_EXCEEDED": "429", "ACCESS_DENIED": "403", "WAF_FILTERED": "403", "INTEGRATION_FAILURE": "502", "INTEGRATION_TIMEOUT": "504",
	}
	got := map[string]any{}
	for typ, r := range responses {
		got[typ] = at(r, "statusCode")
		text, _ := at(r, "responseTemplates", "application/json").(string)
		var body struct{ Error map[string]any }
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			t.Errorf("%s: %q: %v", typ, text, err)
		}
		names := slices.Sorted(maps.Keys(body.Error))
		if !slices.Equal(names, []string{"code", "message", "param", "type"}) || body.Error["param"] != nil || body.Error["message"] == "" {
			t.Errorf("%s: error = %v, want OpenAI's four members", typ, body.Error)
		}
		parameters := at(r, "responseParameters")
		wantAt(t, typ, parameters, "'*'", "gatewayresponse.header.Access-Control-Allow-Origin")
		wantAt(t, typ, parameters, "context.requestId", "gatewayresponse.header.X-Request-Id")
		if after := at(parameters, "gatewayresponse.header.Retry-After"); after == nil && got[typ] == "429" {
			t.Errorf("%s does not say when to try again", typ)
		}
	}
	if diff := cmp.Diff(status, got); diff != "" {
		t.Errorf("gateway responses (-want +got):\n%s", diff)
	}
}

// wildcards are the resources that no template can name one by one.
var wildcards = map[string]string{
	"arn:${AWS::Partition}:bedrock:*::foundation-model/*":                                            "models belong to AWS; callers choose them, and allow-lists say who may",
	"arn:${AWS::Partition}:bedrock:${AWS::Region}:${AWS::AccountId}:inference-profile/*":             "profiles are listed by AWS per region",
	"arn:${AWS::Partition}:bedrock:${AWS::Region}:${AWS::AccountId}:application-inference-profile/*": "the account's own",
	"arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/${SecretPrefix}/*":         "parameters name the secrets at run time",
	"arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${SecretPrefix}/*": "the same",
}

// TestPermissions states what each function may do. A longer list needs a
// reason; so does a wildcard.
func TestPermissions(t *testing.T) {
	const (
		secrets = "ssm:GetParameter secretsmanager:GetSecretValue"
		config  = "s3:GetObject" // of the one object that GatewayConfig names
		prompts = "dynamodb:GetItem dynamodb:Query dynamodb:PutItem"
		// Grants of a project that others do not use are read when it is short of money.
		accounts = "dynamodb:UpdateItem dynamodb:BatchGetItem"
	)
	want := map[string]map[string]string{ // role → Sid → actions
		"ChatFunctionRole":       {"Accounts": accounts, "Prompts": prompts, "Ledger": "dynamodb:PutItem", "Secrets": secrets, "Config": config, "Models": "bedrock:InvokeModel bedrock:InvokeModelWithResponseStream"},
		"CodeFunctionRole":       {"Accounts": accounts, "Prompts": prompts, "Ledger": "dynamodb:PutItem", "Secrets": secrets, "Config": config, "Models": "bedrock:InvokeModel bedrock:InvokeModelWithResponseStream"},
		"EmbeddingsFunctionRole": {"Accounts": accounts, "Ledger": "dynamodb:PutItem", "Secrets": secrets, "Config": config, "Models": "bedrock:InvokeModel"},
		"DocumentsFunctionRole":  {"Accounts": accounts, "Ledger": "dynamodb:PutItem", "Secrets": secrets, "Config": config, "Models": "bedrock:InvokeModel"},
		"SearchFunctionRole":     {"Accounts": accounts, "Ledger": "dynamodb:PutItem", "Secrets": secrets, "Config": config, "Models": "bedrock:InvokeModel"},
		"ModelsFunctionRole":     {"Accounts": "dynamodb:UpdateItem", "Secrets": secrets, "Config": config},
		"TemplatesFunctionRole":  {"Accounts": "dynamodb:UpdateItem", "Recipes": "dynamodb:GetItem dynamodb:Query dynamodb:PutItem dynamodb:DeleteItem dynamodb:BatchWriteItem", "Ledger": "dynamodb:Query", "Secrets": secrets, "Config": config},
		"ChainsFunctionRole": {"Accounts": accounts, "Recipes": "dynamodb:GetItem dynamodb:Query dynamodb:PutItem dynamodb:DeleteItem dynamodb:BatchWriteItem", "Ledger": "dynamodb:PutItem", "Secrets": secrets, "Config": config,
			"Models": "bedrock:InvokeModel bedrock:InvokeModelWithResponseStream"},
		"AdminFunctionRole":         {"Accounts": "dynamodb:GetItem dynamodb:BatchGetItem dynamodb:Query dynamodb:PutItem dynamodb:UpdateItem dynamodb:DeleteItem dynamodb:BatchWriteItem", "Users": "dynamodb:Query", "Ledger": "dynamodb:GetItem dynamodb:Query dynamodb:PutItem", "Secrets": secrets},
		"ConversationsFunctionRole": {"Accounts": "dynamodb:UpdateItem", "Conversations": "dynamodb:GetItem dynamodb:Query dynamodb:PutItem dynamodb:UpdateItem dynamodb:DeleteItem dynamodb:BatchWriteItem", "Secrets": secrets},
		"HealthFunctionRole":        {"Ping": "dynamodb:GetItem"},
		"SweepFunctionRole":         {"Users": "dynamodb:Query", "Accounts": "dynamodb:BatchGetItem dynamodb:UpdateItem", "Ledger": "dynamodb:PutItem"},
		"SweepFunctionScheduleRole": {"": "lambda:InvokeFunction"},
		"ApiLogWriter":              {},
	}
	got := map[string]map[string]string{}
	for id, role := range ofType(deployed(t), "AWS::IAM::Role") {
		got[id] = map[string]string{}
		for _, arn := range texts(role.Properties["ManagedPolicyArns"]) {
			if !strings.HasSuffix(arn, "/service-role/AWSLambdaBasicExecutionRole") && !strings.HasSuffix(arn, "/service-role/AmazonAPIGatewayPushToCloudWatchLogs") {
				t.Errorf("%s: the managed policy %s allows more than writing logs", id, arn)
			}
		}
		policies, _ := role.Properties["Policies"].([]any)
		for _, policy := range policies {
			for _, statement := range at(policy, "PolicyDocument", "Statement").([]any) {
				if choice, ok := at(statement, "Fn::If").([]any); ok { // what it allows when it applies
					statement = choice[1]
				}
				sid, _ := at(statement, "Sid").(string)
				got[id][sid] = strings.Join(texts(at(statement, "Action")), " ")
				for _, r := range texts(at(statement, "Resource")) {
					if strings.Contains(r, "*") && wildcards[r] == "" {
						t.Errorf("%s %s: the resource %s needs a reason", id, sid, r)
					}
				}
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("permissions (-want +got):\n%s", diff)
	}
}

// texts lists the strings in v: itself, its elements, or what an intrinsic
// function is given.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, texts(e)...)
		}
		return all
	case map[string]any:
		return texts(slices.Collect(maps.Values(v)))
	}
	return nil
}
