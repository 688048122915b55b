// An OTLP sender: OpenTelemetry's own SDK and exporter write one gauge and one counter over HTTP.
//
//	otlp URL HEADER=VALUE...     the gauge `otlp_gauge` and the counter `otlp_counter` of the resource `sender`, once
//
// It prints what went wrong, and ends with 1 then. The exporter tries again what is answered 429, 502, 503 or 504, for two seconds.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: otlp URL HEADER=VALUE...")
	}
	headers := map[string]string{}
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		headers[name] = value
	}
	exporter, err := otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpointURL(args[0]),
		otlpmetrichttp.WithHeaders(headers),
		otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{
			Enabled: true, InitialInterval: 100 * time.Millisecond, MaxInterval: time.Second, MaxElapsedTime: 2 * time.Second,
		}))
	if err != nil {
		return err
	}
	sender := resource.NewSchemaless(attribute.String("service.name", "sender"))
	provider := sdk.NewMeterProvider(sdk.WithResource(sender), sdk.WithReader(sdk.NewPeriodicReader(exporter, sdk.WithInterval(time.Hour))))
	meter := provider.Meter("tests")
	gauge, err := meter.Float64Gauge("otlp_gauge")
	if err != nil {
		return err
	}
	counter, err := meter.Int64Counter("otlp_counter")
	if err != nil {
		return err
	}
	// An attribute may claim to be the tenant.
	claim := metric.WithAttributes(attribute.String("tenant_id", "team-b"), attribute.String("job", "otlp"))
	gauge.Record(ctx, 7, claim)
	counter.Add(ctx, 3, claim)
	return provider.Shutdown(ctx)
}
