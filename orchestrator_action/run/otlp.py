"""Sends the trace of a run to a collector: OTLP over HTTP, by OpenTelemetry's own variables and SDK (extra `otel`).

The SDK is loaded, and has done all of it once, before the first agent starts: what an agent writes over its files
later runs in no process of ours. Source: opentelemetry.io, "OTLP Exporter Configuration".
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.re import parse_env_headers

from orchestrator_action.run.traces import Span

SERVICE = "orchestrator-action"
HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
COLLECTOR_PATIENCE_S = 10.0
"""Until a collector that does not answer is given up, retries included."""
_AT_ONCE = 500
"""Spans in a request."""


def send_trace(run: Span, url: str, env: Mapping[str, str]) -> str:
    """Send a trace to the collector at `url`; why it was not taken, or an empty string.

    Of `env`, `TRACEPARENT` names the span that this run is a part of. What the SDK would log is left to the caller.
    """
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    headers = parse_env_headers(next(filter(None, map(env.get, HEADERS)), ""), liberal=True)
    with requests.Session() as session:
        session.auth = _as_it_is  # otherwise requests would look into ~/.netrc
        exporter = OTLPSpanExporter(
            endpoint=url, headers=headers, timeout=COLLECTOR_PATIENCE_S, session=session
        )
        spans = _spans(run, env)
        for at in range(0, len(spans), _AT_ONCE):
            if exporter.export(spans[at : at + _AT_ONCE]) is not SpanExportResult.SUCCESS:
                return f"{urlsplit(url).hostname or 'the collector'} did not take it"
    return ""


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def rehearse(env: Mapping[str, str]) -> None:
    """Do all of it once but for the sending, so that nothing is loaded later."""
    inner = Span(
        name="phase", began=1.0, ended=2.0, known={"n": 1, "x": 1.0, "t": "t", "b": True}, fault="no"
    )
    encode_spans(
        _spans(Span(name="run", began=1.0, ended=2.0, known={}, within=(inner,)), env)
    ).SerializeToString()


def _spans(run: Span, env: Mapping[str, str]) -> tuple[ReadableSpan, ...]:
    about = Resource({"service.name": SERVICE}).merge(OTELResourceDetector().detect())
    provider, made = TracerProvider(resource=about, shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(made))
    parent = TraceContextTextMapPropagator().extract({"traceparent": env.get("TRACEPARENT", "")})
    _record(run, provider.get_tracer(SERVICE), parent)
    return tuple(made.get_finished_spans())


def _record(span: Span, tracer: Tracer, context: Any) -> None:
    known = {name: value for name, value in span.known.items() if value not in (None, "")}
    made = tracer.start_span(span.name, context=context, start_time=_ns(span.began), attributes=known)
    if span.fault:
        made.set_status(Status(StatusCode.ERROR, span.fault))
    for inner in span.within:
        _record(inner, tracer, set_span_in_context(made, context))
    made.end(_ns(max(span.began, span.ended)))


def _ns(at: float) -> int:
    return round(at * 1e9)
