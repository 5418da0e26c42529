module github.com/open-telemetry/opentelemetry-collector-contrib/connector/otlpjsonconnector

go 1.25.0

require (
	go.opentelemetry.io/collector/component v1.64.0
	go.opentelemetry.io/collector/connector v0.158.0
	go.opentelemetry.io/collector/consumer v1.64.0
	go.opentelemetry.io/collector/pdata v1.64.0
	go.uber.org/zap v1.27.0
)
