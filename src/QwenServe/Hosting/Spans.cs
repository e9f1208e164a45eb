using System.Diagnostics;
using QwenServe.Engine;

namespace QwenServe.Hosting;

/// <summary>
/// The parts of a request as OpenTelemetry spans: request → template → tokenize → queue → prefill → decode, the last where tokens are drawn. The
/// first three are measured where they happen; the rest is written when the engine is done with a prompt, from the times that it keeps anyway, so
/// that the engine knows nothing of traces. While no traces are asked for there is no request span, and then there is nothing else.
/// Attributes are those of OpenTelemetry's semantic conventions (<c>gen_ai.*</c>, <c>http.*</c>) and, beside them, vLLM's.
/// </summary>
internal static class Spans
{
    public const string SourceName = "QwenServe";

    public static readonly ActivitySource Source = new(SourceName);

    /// <summary>The span of the request in hand, or of its part; null when it is not traced.</summary>
    public static Activity? Current => Activity.Current is { IsAllDataRequested: true } current && ReferenceEquals(current.Source, Source) ? current : null;

    /// <summary>Begins a part of the request, to be disposed at its end; null when it is not traced.</summary>
    public static Activity? Begin(string name) => Current is null ? null : Source.StartActivity(name);

    /// <summary>Writes what the engine did for one prompt; what draws no token ends with its prefill.</summary>
    /// <param name="request">The request's span.</param>
    /// <param name="times">As the engine kept them.</param>
    /// <param name="end">When its last token was read, or it was given up.</param>
    /// <param name="promptTokens">Tokens of the prompt.</param>
    /// <param name="cachedTokens">Those that came from the prefix cache.</param>
    /// <param name="outputTokens">Tokens generated, over all choices.</param>
    /// <param name="error">What it failed with, or null.</param>
    public static void WriteGeneration(Activity request, in RequestTimes times, long end, int promptTokens, int cachedTokens, int outputTokens, string? error)
    {
        bool begun = times.Scheduled != 0, drew = times.FirstToken != 0;
        var clock = Clock.Read();
        Write(request, clock, "queue", times.Arrival, begun ? times.Scheduled : end, begun ? null : error)?.Dispose();
        if (!begun) return;
        using (var prefill = Write(request, clock, "prefill", times.Scheduled, drew ? times.FirstToken : end, drew ? null : error))
        {
            prefill?.SetTag("gen_ai.usage.input_tokens", promptTokens);
            prefill?.SetTag("gen_ai.usage.cache_read.input_tokens", cachedTokens);
        }
        if (!drew) return;
        using var decode = Write(request, clock, "decode", times.FirstToken, end, error);
        decode?.SetTag("gen_ai.usage.output_tokens", outputTokens);
    }

    private static Activity? Write(Activity parent, Clock clock, string name, long from, long to, string? error)
    {
        var before = Activity.Current;
        var span = Source.StartActivity(name, ActivityKind.Internal, parent.Context, startTime: clock.Date(from));
        Activity.Current = before;
        if (span is null) return null;
        if (error is not null) span.SetStatus(ActivityStatusCode.Error).SetTag("error.type", error);
        return span.SetEndTime(clock.Date(Math.Max(from, to)));
    }

    /// <summary>A moment by the clock of ticks and by that of dates.</summary>
    private readonly record struct Clock(long Ticks, DateTime Now)
    {
        public static Clock Read()
        {
            var best = (Apart: long.MaxValue, Clock: default(Clock));
            // A thread that loses the processor between the two reads would move all spans.
            for (int i = 0; i < 4 && best.Apart > Stopwatch.Frequency / 1000; i++)
            {
                long before = Stopwatch.GetTimestamp();
                var now = DateTime.UtcNow;
                long apart = Stopwatch.GetTimestamp() - before;
                if (apart < best.Apart) best = (apart, new Clock(before, now));
            }
            return best.Clock;
        }

        public DateTime Date(long ticks) => Now - Stopwatch.GetElapsedTime(ticks, Ticks);
    }
}
