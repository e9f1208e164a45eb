using System.Diagnostics;
using QwenServe.Engine;
using QwenServe.OpenAI.Wire;

namespace QwenServe.Hosting;

/// <summary>What a request has come to, gathered while it is answered: for its line in the log and for its span. One request's tasks may add to it together.</summary>
internal sealed class RequestFigures
{
    private readonly Lock _gate = new();
    private readonly List<string> _finishReasons = [];

    /// <summary>Prompts given to the engine.</summary>
    public int Prompts { get; private set; }

    /// <summary>Whether tokens were wanted; embeddings and scores draw none.</summary>
    public bool Generates => _finishReasons.Count > 0;

    public int PromptTokens { get; private set; }

    public int CachedTokens { get; private set; }

    public int OutputTokens { get; private set; }

    /// <summary>Why each choice ended, in OpenAI's words; <c>abort</c> for those given up.</summary>
    public IReadOnlyList<string> FinishReasons => _finishReasons;

    /// <summary>From arrival to the first step: the longest of its prompts.</summary>
    public TimeSpan? Queued { get; private set; }

    /// <summary>From arrival to the first token: the shortest of its prompts.</summary>
    public TimeSpan? FirstToken { get; private set; }

    /// <summary>From arrival to the last token, or to what was computed of the last prompt.</summary>
    public TimeSpan? LastToken { get; private set; }

    /// <summary>The code, or type, of the error it ended with.</summary>
    public string? Error { get; private set; }

    /// <summary>The error's words, of errors that are the server's; those of a client's may repeat what it sent.</summary>
    public string? Message { get; private set; }

    /// <summary>Whether the error is the server's.</summary>
    public bool Failed => Message is not null;

    public static RequestFigures Of(HttpContext context)
    {
        if (context.Features.Get<RequestFigures>() is { } known) return known;
        var figures = new RequestFigures();
        context.Features.Set(figures);
        return figures;
    }

    /// <summary>Adds a prompt that the engine is done with; without reasons when it was not to be continued.</summary>
    public void Add(in RequestTimes times, int promptTokens, int cachedTokens, int outputTokens, IEnumerable<string> finishReasons)
    {
        lock (_gate)
        {
            Prompts++;
            PromptTokens += promptTokens;
            CachedTokens += cachedTokens;
            OutputTokens += outputTokens;
            _finishReasons.AddRange(finishReasons);
            if (times.Scheduled != 0 && Since(times.Arrival, times.Scheduled) is var queued && !(queued < Queued)) Queued = queued;
            if (times.FirstToken != 0 && Since(times.Arrival, times.FirstToken) is var first && !(first > FirstToken)) FirstToken = first;
            if (times.LastToken != 0 && Since(times.Arrival, times.LastToken) is var last && !(last < LastToken)) LastToken = last;
        }
    }

    /// <summary>Notes the error that the request ends with.</summary>
    public void Fail(ApiException error)
    {
        Error = error.Code ?? error.Type;
        Message = error.Status >= 500 ? error.Message : null;
    }

    /// <summary>Notes that nobody waits for the answer any more.</summary>
    public void Leave() => Error = "client_closed_request";

    private static TimeSpan Since(long from, long to) => Stopwatch.GetElapsedTime(from, Math.Max(from, to));
}
