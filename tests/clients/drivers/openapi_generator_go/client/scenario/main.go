// The scenario through the Go client of openapi-generator.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	provisioning "github.com/example/provisioning"
)

var (
	api = os.Getenv("API")
	ctx = context.WithValue(context.Background(), provisioning.ContextAccessToken, os.Getenv("TOKEN"))
)

func check(err error) {
	if err != nil {
		var problem *provisioning.GenericOpenAPIError
		if errors.As(err, &problem) {
			fmt.Println(string(problem.Body()))
		}
		panic(err)
	}
}

// model returns the problem of a failed call, which is of the type M.
func model[M any](err error) M {
	var failed *provisioning.GenericOpenAPIError
	if !errors.As(err, &failed) {
		panic(err)
	}
	return failed.Model().(M)
}

func first(list []provisioning.InputError) string {
	return list[0].Pointer + " " + list[0].Code
}

// upload sends a file, which the generated function does for JSON alone, and waits for the job.
func upload(client *provisioning.APIClient, contentType, text string) *provisioning.BulkJob {
	request, err := http.NewRequestWithContext(ctx, "POST", api+"/bulk-jobs", strings.NewReader(text))
	check(err)
	request.Header.Set("Authorization", "Bearer "+os.Getenv("TOKEN"))
	request.Header.Set("Content-Type", contentType)
	response, err := client.GetConfig().HTTPClient.Do(request)
	check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(err)
	job := &provisioning.BulkJob{}
	check(json.Unmarshal(body, job))
	for job.FinishedAt.Get() == nil {
		time.Sleep(100 * time.Millisecond)
		job, _, err = client.BulkAPI.ReadBulkJob(ctx, job.Job).Execute()
		check(err)
	}
	return job
}

func main() {
	configuration := provisioning.NewConfiguration()
	configuration.Servers = provisioning.ServerConfigurations{{URL: api}}
	configuration.HTTPClient = http.DefaultClient
	client := provisioning.NewAPIClient(configuration)

	example := *provisioning.NewTenantInput("Example Corp", "admin@example.com")
	tenant, _, err := client.TenantsAPI.CreateTenant(ctx).TenantInput(example).Execute()
	check(err)
	fmt.Printf("create: %s, %s, version %d\n", tenant.ClientName, tenant.Status, tenant.Version)

	_, _, err = client.TenantsAPI.CreateTenant(ctx).TenantInput(example).Execute()
	duplicate := model[provisioning.TenantExistsOrIdempotencyInProgressError](err).TenantExistsProblem
	same := *duplicate.ConflictingTenant == tenant.Tenant
	fmt.Printf("duplicate: %d %s, %s of the same tenant: %t\n", duplicate.Status, duplicate.Code, duplicate.Field, same)

	_, _, err = client.TenantsAPI.CreateTenant(ctx).TenantInput(*provisioning.NewTenantInput("Example Corp", "admin@")).Execute()
	invalid := model[provisioning.InvalidRequestOrInvalidIdempotencyKeyError](err).ValidationErrorProblem
	fmt.Printf("invalid: %d %s, %s\n", invalid.Status, invalid.Code, first(invalid.Errors))

	for _, name := range []string{"Two", "Three"} {
		input := *provisioning.NewTenantInput(name, name+"@example.com")
		_, _, err = client.TenantsAPI.CreateTenant(ctx).TenantInput(input).Execute()
		check(err)
	}
	var pages []string
	for request := client.TenantsAPI.ListTenants(ctx).Limit(2); ; {
		page, _, err := request.Execute()
		check(err)
		pages = append(pages, fmt.Sprint(len(page.Items)))
		if page.Next.Get() == nil {
			break
		}
		request = request.Cursor(*page.Next.Get())
	}
	fmt.Printf("pages: %s\n", strings.Join(pages, ", "))

	change := func(industry string) (*provisioning.Tenant, *http.Response, error) {
		patch := *provisioning.NewTenantPatch()
		patch.SetIndustry(industry)
		return client.TenantsAPI.PatchTenant(ctx, tenant.Tenant).IfMatch(`"1"`).TenantPatch(patch).Execute()
	}
	changed, response, err := change("Finance")
	check(err)
	fmt.Printf("update: %s, version %d, ETag %s\n", changed.GetIndustry(), changed.Version, response.Header.Get("ETag"))
	_, _, err = change("Arts")
	conflict := model[provisioning.PreconditionFailedError](err).PreconditionFailedProblem
	fmt.Printf("conflict: %d %s\n", conflict.Status, conflict.Code)

	csv := upload(client, "text/csv", "client_name,email\nFour,four@example.com\nFive,five@example.com\n")
	fmt.Printf("csv: %s, %d of %d\n", csv.State, csv.Succeeded, csv.Total)
	rows := `{"client_name": "Six", "email": "six@example.com"}` + "\n" + `{"client_name": "Seven", "email": "seven@"}`
	ndjson := upload(client, "application/x-ndjson", rows)
	fmt.Printf("ndjson: %s, %d of %d\n", ndjson.State, ndjson.Succeeded, ndjson.Total)
	results, _, err := client.BulkAPI.ListBulkItems(ctx, ndjson.Job).Execute()
	check(err)
	for _, item := range results.Items {
		if problem := item.Problem.Get(); problem != nil {
			fmt.Printf("row %d: %s, %d %s, %s\n", item.Row, item.State, problem.Status, problem.Code, first(problem.Errors))
		} else {
			fmt.Printf("row %d: %s\n", item.Row, item.State)
		}
	}

	patch := func(change func(*provisioning.MailSettingsPatch)) (*provisioning.Settings, *http.Response, error) {
		mail := provisioning.NewMailSettingsPatch()
		change(mail)
		values := *provisioning.NewExplicitSettingsPatch()
		values.SetMail(*mail)
		return client.SettingsAPI.PatchSettings(ctx, tenant.Tenant).ExplicitSettingsPatch(values).Execute()
	}
	settings, _, err := patch(func(mail *provisioning.MailSettingsPatch) { mail.SetSender("hello@example.com") })
	check(err)
	mail, source := settings.Effective.Mail, settings.Sources["mail.sender"]
	fmt.Printf("settings: version %d, %s of the %s, %d a day\n", settings.Version, *mail.Sender, source, *mail.Daily)
	_, _, err = patch(func(mail *provisioning.MailSettingsPatch) { mail.SetDaily(0) })
	wrong := model[provisioning.InvalidRequestOrInvalidIdempotencyKeyError](err).ValidationErrorProblem
	fmt.Printf("wrong settings: %d %s, %s\n", wrong.Status, wrong.Code, first(wrong.Errors))

	endpoint := *provisioning.NewWebhookInput("https://127.0.0.1/hooks")
	endpoint.Events = []string{"partner.updated"}
	webhook, _, err := client.WebhooksAPI.CreateWebhook(ctx).WebhookInput(endpoint).Execute()
	check(err)
	webhooks, _, err := client.WebhooksAPI.ListWebhooks(ctx).Execute()
	check(err)
	fmt.Printf("webhook: enabled %t, secret %s, %d listed\n", webhook.Enabled, webhook.GetSecret()[:6], len(webhooks.Items))

	var types, names []string
	for request := client.EventsAPI.ListEvents(ctx).Limit(5); ; {
		feed, _, err := request.Execute()
		check(err)
		for _, event := range feed.Items {
			// All events of a tenant become the first alternative that has their fields; `Type` tells them apart.
			switch {
			case event.TenantCreatedEvent != nil:
				change := event.TenantCreatedEvent
				types = append(types, change.Type)
				if change.Type == "tenant.updated" {
					industry := change.Changes["industry"]
					names = append(names, fmt.Sprintf("%s, %v", change.Data.GetClientName(), industry.New))
				}
			case event.BulkJobFinishedEvent != nil:
				types = append(types, event.BulkJobFinishedEvent.Type)
			case event.WebhookCreatedEvent != nil:
				types = append(types, event.WebhookCreatedEvent.Type)
			}
		}
		if !feed.HasMore {
			break
		}
		request = request.After(feed.Next)
	}
	fmt.Printf("events: %s\n", strings.Join(types, " "))
	fmt.Printf("tenant.updated: %s\n", strings.Join(names, "; "))
}
