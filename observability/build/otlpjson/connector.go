// Package otlpjsonconnector stands in for the connector otlpjson of the Collector's contrib distribution where
// the module of that name cannot be had. It does the part that zerocart's configuration uses: each log record
// whose body is a line of OTLP JSON with spans becomes these spans. A body that is none is logged as an error.
package otlpjsonconnector

import (
	"context"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"
)

const prefix = `{"resourceSpans"`

type config struct{}

// NewFactory makes the connector.
func NewFactory() connector.Factory {
	return connector.NewFactory(
		component.MustNewType("otlpjson"),
		func() component.Config { return &config{} },
		connector.WithLogsToTraces(newSpans, component.StabilityLevelAlpha),
	)
}

type spans struct {
	component.StartFunc
	component.ShutdownFunc
	logger *zap.Logger
	next   consumer.Traces
	reader ptrace.JSONUnmarshaler
}

func newSpans(_ context.Context, set connector.Settings, _ component.Config, next consumer.Traces) (connector.Logs, error) {
	return &spans{logger: set.Logger, next: next}, nil
}

func (*spans) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (s *spans) ConsumeLogs(ctx context.Context, logs plog.Logs) error {
	for _, ofResource := range logs.ResourceLogs().All() {
		for _, ofScope := range ofResource.ScopeLogs().All() {
			for _, record := range ofScope.LogRecords().All() {
				s.consume(ctx, record.Body().AsString())
			}
		}
	}
	return nil
}

func (s *spans) consume(ctx context.Context, line string) {
	if !strings.HasPrefix(line, prefix) {
		s.logger.Error("a line is no OTLP JSON")
		return
	}
	traces, err := s.reader.UnmarshalTraces([]byte(line))
	if err != nil {
		s.logger.Error("a line of OTLP JSON cannot be read", zap.Error(err))
		return
	}
	if err := s.next.ConsumeTraces(ctx, traces); err != nil {
		s.logger.Error("spans were refused", zap.Error(err))
	}
}
