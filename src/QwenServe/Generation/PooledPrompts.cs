using System.Diagnostics;
using QwenServe.Access;
using QwenServe.Engine;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;

namespace QwenServe.Generation;

/// <summary>A prompt of which hidden states are wanted.</summary>
/// <param name="Tokens">At least one.</param>
/// <param name="Pooling">Which hidden states.</param>
internal readonly record struct PooledPrompt(int[] Tokens, Pooling Pooling);

/// <summary>How the prompts of a request are treated.</summary>
/// <param name="CacheSalt">Prefixes are shared with requests of the same salt.</param>
/// <param name="Priority">Lower is earlier.</param>
/// <param name="Timeout">What the request allows.</param>
internal readonly record struct PooledOptions(string? CacheSalt, int Priority, TimeSpan? Timeout);

/// <summary>
/// Runs the prompts of one request through the engine and gathers their hidden states. A request may bring thousands: so many are in the engine
/// at a time, and one that it has no room for waits for those before it, so that only a request that got nothing in is refused.
/// </summary>
internal static class PooledPrompts
{
    private const int AtOnce = 64;

    /// <summary>Prompts whose parts are traced; those of thousands would push other requests' out of what waits to be sent.</summary>
    private const int MostTraced = 32;

    /// <returns>One list of rows a prompt, in their order.</returns>
    /// <exception cref="ApiException">The engine refuses or fails, or the caller is at a limit.</exception>
    public static async Task<IReadOnlyList<float[]>[]> RunAsync(ServedModel model, string id, IReadOnlyList<PooledPrompt> prompts, PooledOptions options, Caller caller)
    {
        var results = new IReadOnlyList<float[]>[prompts.Count];
        var running = new Queue<(int Index, GenerationStream Stream)>();
        var span = Spans.Current;
        span?.SetTag("gen_ai.request.model", model.Name).SetTag("gen_ai.response.model", model.Name).SetTag("gen_ai.response.id", id);
        long reserved = caller.Reserve(prompts.Sum(p => (long)p.Tokens.Length), 0);
        long computed = 0;
        string? error = null;
        try
        {
            for (int i = 0; i < prompts.Count; i++)
            {
                var request = new GenerationRequest
                {
                    Id = id,
                    Prompt = prompts[i].Tokens,
                    Pooling = prompts[i].Pooling,
                    CacheSalt = options.CacheSalt,
                    Tenant = caller.Tenant,
                    Priority = options.Priority,
                    ArrivalTimestamp = caller.Arrival,
                    Timeout = caller.TimeoutOr(options.Timeout),
                };
                while (running.Count >= AtOnce) await TakeAsync().ConfigureAwait(false);
                while (true)
                {
                    try
                    {
                        running.Enqueue((i, model.Engine.Submit(request)));
                        break;
                    }
                    catch (EngineOverloadedException) when (running.Count > 0)
                    {
                        await TakeAsync().ConfigureAwait(false);
                    }
                    catch (Exception e) when (TextGeneration.Translate(e, chat: false) is { } refusal)
                    {
                        throw refusal;
                    }
                }
            }
            while (running.Count > 0) await TakeAsync().ConfigureAwait(false);
            return results;
        }
        finally
        {
            caller.Settle(reserved, (int)Math.Min(computed, int.MaxValue), 0);
            foreach (var (index, stream) in running)
            {
                Report(index, stream, error ?? "abort");
                // What ended the request ended one prompt of it; the others are given up.
                error = null;
                await stream.DisposeAsync().ConfigureAwait(false);
            }
        }

        async Task TakeAsync()
        {
            var (index, stream) = running.Peek();
            await foreach (var e in stream.WithCancellation(caller.Cancelled).ConfigureAwait(false))
            {
                if (e.Pooled is null) error = e.Finish.ToString().ToLowerInvariant();
                if (e.Finish is FinishReason.Error) throw ApiException.Internal(e.Error ?? "The computation failed.");
                if (e.Finish is FinishReason.Timeout) throw ApiException.Timeout(e.Error ?? "the request's time is over");
                if (e.Pooled is not { } rows) throw ApiException.NotReady(e.Error ?? "The request was ended by the server.", TimeSpan.FromSeconds(1));
                results[index] = rows;
            }
            computed += prompts[index].Tokens.Length;
            running.Dequeue();
            Report(index, stream, null);
        }

        void Report(int index, GenerationStream stream, string? failure)
        {
            var times = stream.Times;
            caller.Figures.Add(times, prompts[index].Tokens.Length, stream.CachedTokens, 0, []);
            if (span is null || index >= MostTraced) return;
            Spans.WriteGeneration(span, times, times.LastToken != 0 ? times.LastToken : Stopwatch.GetTimestamp(), prompts[index].Tokens.Length, stream.CachedTokens, 0, failure);
        }
    }
}
