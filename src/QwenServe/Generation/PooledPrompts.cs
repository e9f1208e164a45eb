using QwenServe.Access;
using QwenServe.Engine;
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

    /// <returns>One list of rows a prompt, in their order.</returns>
    /// <exception cref="ApiException">The engine refuses or fails, or the caller is at a limit.</exception>
    public static async Task<IReadOnlyList<float[]>[]> RunAsync(InferenceEngine engine, string id, IReadOnlyList<PooledPrompt> prompts, PooledOptions options, Caller caller)
    {
        var results = new IReadOnlyList<float[]>[prompts.Count];
        var running = new Queue<(int Index, GenerationStream Stream)>();
        long reserved = caller.Reserve(prompts.Sum(p => (long)p.Tokens.Length), 0);
        long computed = 0;
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
                        running.Enqueue((i, engine.Submit(request)));
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
            foreach (var (_, stream) in running) await stream.DisposeAsync().ConfigureAwait(false);
        }

        async Task TakeAsync()
        {
            var (index, stream) = running.Peek();
            await foreach (var e in stream.WithCancellation(caller.Cancelled).ConfigureAwait(false))
            {
                if (e.Finish is FinishReason.Error) throw ApiException.Internal(e.Error ?? "The computation failed.");
                if (e.Finish is FinishReason.Timeout) throw ApiException.Timeout(e.Error ?? "the request's time is over");
                if (e.Pooled is not { } rows) throw ApiException.NotReady(e.Error ?? "The request was ended by the server.", TimeSpan.FromSeconds(1));
                results[index] = rows;
            }
            computed += prompts[index].Tokens.Length;
            running.Dequeue();
        }
    }
}
