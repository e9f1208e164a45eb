using QwenServe.Compute;
using QwenServe.Engine;

namespace QwenServe.Tests.Engine;

/// <summary>Random arrivals of several tenants, with and without priorities, forks, aborts, deadlines and full caches; integrity after every step, and every token compared with a model that has no cache.</summary>
public class SimulationTests
{
    private const int Requests = 150;

    public static TheoryData<int, bool> Runs
    {
        get
        {
            var runs = new TheoryData<int, bool>();
            int seeds = int.TryParse(Environment.GetEnvironmentVariable("QWENSERVE_SIMULATION_SEEDS"), out int given) ? given : 24;
            for (int seed = 1; seed <= seeds; seed++)
            {
                runs.Add(seed, false);
                runs.Add(seed, true);
            }
            return runs;
        }
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void Every_request_gets_the_tokens_it_would_get_alone(int seed, bool overlap)
    {
        var random = new Random(seed);
        int blockSize = Pick(random, 1, 2, 3, 4, 16);
        int context = random.Next(24, 120);
        int blocks = (context + blockSize - 1) / blockSize + random.Next(0, 3 * context / blockSize + 1);
        using var scripted = new ScriptedEngine(new EngineOptions
        {
            MaxModelLength = context,
            BlockSize = blockSize,
            MaxNumSeqs = Pick(random, 1, 2, 5, 9),
            MaxNumBatchedTokens = Pick(random, 1, 7, 16, 64),
            EnablePrefixCaching = random.Next(4) > 0,
            OverlapSteps = overlap,
            MaxQueuedRequests = 12,
            SchedulingPolicy = Pick(random, SchedulingPolicy.Fcfs, SchedulingPolicy.Priority),
        }, blocks);

        var prefixes = Enumerable.Range(0, 3).Select(i => ScriptedEngine.Prompt(context, 1000 * seed + i)).ToArray();
        var submitted = new List<Submitted>();
        int refused = 0;
        for (int steps = 0; submitted.Count < Requests || scripted.Engine.Loop.HasWork; steps++)
        {
            Assert.True(steps < 200_000, "the engine does not come to an end");
            for (int arrivals = random.Next(3); arrivals > 0 && submitted.Count < Requests; arrivals--)
            {
                var request = MakeRequest(random, prefixes, context, submitted.Count, scripted.Options.SchedulingPolicy);
                try
                {
                    submitted.Add(new Submitted(request, scripted.Engine.Submit(request)));
                }
                catch (EngineOverloadedException e)
                {
                    // A tenant with less than its share is taken when others have filled the queue.
                    Assert.InRange(e.QueuedRequests, 12, 24 + Tenants.Length);
                    refused++;
                    break;
                }
            }
            Assert.True(scripted.Engine.Scheduler.TenantCount <= Tenants.Length);
            if (submitted.Count > 0 && random.Next(20) == 0) submitted[random.Next(Math.Max(0, submitted.Count - 10), submitted.Count)].Abort();
            if (submitted.Count > 0 && random.Next(20) == 0) submitted[random.Next(Math.Max(0, submitted.Count - 10), submitted.Count)].Stop(random);
            scripted.Step();
            foreach (var one in submitted) one.Read();
        }

        foreach (var one in submitted) one.Check(scripted.Engine.MaxModelLength);
        Assert.Equal(scripted.Engine.Cache.BlockCount, scripted.Engine.Cache.FreeBlocks);
        Assert.Equal(0, scripted.Engine.Scheduler.TenantCount);
        Assert.Equal(0, scripted.Engine.Queued.Requests);
        Assert.Equal(0, scripted.Engine.Queued.Tokens);
        Assert.Equal(refused, scripted.Engine.Metrics.Refused);
        var metrics = scripted.Engine.Metrics;
        Assert.Equal(submitted.Sum(s => s.Request.Choices), metrics.Ended(FinishReason.Stop) + metrics.Ended(FinishReason.Length) + metrics.Ended(FinishReason.Abort) + metrics.Ended(FinishReason.Error) + metrics.Ended(FinishReason.Timeout));
        int pooled = submitted.Count(s => s.Pooled);
        lock (Seen)
        {
            Seen.Preemptions += metrics.Preemptions;
            Seen.Hits += metrics.PrefixHits;
            Seen.Evictions += scripted.Engine.Cache.Evictions;
            Seen.Copies += scripted.Device.Copies;
            Seen.NonFinite += metrics.NonFiniteRows;
            Seen.Aborted += metrics.Ended(FinishReason.Abort);
            Seen.Refused += refused;
            Seen.Pooled += pooled;
            Seen.TimedOut += metrics.TimedOutQueued;
            Seen.Forced += metrics.ForcedTokens;
        }
    }

    /// <summary>That the runs of this process met what they are meant to meet.</summary>
    [Fact]
    public void The_runs_meet_preemption_eviction_copies_aborts_and_refusals()
    {
        for (int seed = 1; seed <= 6; seed++) Every_request_gets_the_tokens_it_would_get_alone(seed, seed % 2 == 0);
        lock (Seen)
        {
            Assert.True(Seen.Preemptions > 0 && Seen.Hits > 0 && Seen.Evictions > 0 && Seen.Copies > 0 && Seen.NonFinite > 0 && Seen.Aborted > 0 && Seen.Refused > 0 && Seen.TimedOut > 0 && Seen.Pooled > 0 && Seen.Forced > 0, Seen.ToString());
        }
    }

    private static readonly Coverage Seen = new();

    private sealed record Coverage
    {
        public long Preemptions { get; set; }

        public long Hits { get; set; }

        public long Evictions { get; set; }

        public long Copies { get; set; }

        public long NonFinite { get; set; }

        public long Aborted { get; set; }

        public long Refused { get; set; }

        public long Pooled { get; set; }

        public long TimedOut { get; set; }

        public long Forced { get; set; }
    }

    private static T Pick<T>(Random random, params T[] values) => values[random.Next(values.Length)];

    private static readonly string[] Tenants = ["", "a", "b", "c"];

    private static GenerationRequest MakeRequest(Random random, int[][] prefixes, int context, int index, SchedulingPolicy policy)
    {
        int length = random.Next(1, context - 1);
        int shared = random.Next(0, length + 1);
        var prompt = new int[length];
        prefixes[random.Next(prefixes.Length)].AsSpan(0, shared).CopyTo(prompt);
        for (int i = shared; i < length; i++) prompt[i] = random.Next(ScriptedModel.Vocabulary - 1);
        if (random.Next(25) == 0) prompt[random.Next(length)] = ScriptedModel.Poison;
        int room = context - length;
        if (random.Next(6) == 0)
        {
            return new GenerationRequest { Id = $"r{index}", Prompt = prompt, CacheSalt = random.Next(5) == 0 ? "other" : null, Pooling = MakePooling(random, length) };
        }
        int? maxTokens = random.Next(8) == 0 ? null : random.Next(0, Math.Min(room, 40) + 1);
        return new GenerationRequest
        {
            Id = $"r{index}",
            Prompt = prompt,
            MaxTokens = maxTokens,
            Choices = random.Next(4) == 0 ? random.Next(2, 5) : 1,
            CacheSalt = random.Next(5) == 0 ? "other" : null,
            // One of them sends most.
            Tenant = Tenants[Math.Max(0, random.Next(-6, Tenants.Length))],
            Priority = policy == SchedulingPolicy.Priority ? random.Next(-2, 3) : 0,
            Timeout = random.Next(40) == 0 ? TimeSpan.Zero : null,
            PromptLogProbs = random.Next(6) == 0 ? random.Next(3) : null,
            MaskFactory = random.Next(5) switch { 0 => choice => new ThirdsMask(choice), 1 => choice => new JumpingMask(choice + 1), _ => null },
            Sampling = new SamplingParameters
            {
                Seed = random.Next(),
                IgnoreEos = random.Next(3) == 0,
                MinTokens = random.Next(4) == 0 ? random.Next(0, (maxTokens ?? room) + 1) : 0,
                StopTokenIds = random.Next(3) == 0 ? [5, 6] : [],
                LogitBias = random.Next(4) == 0 ? [new TokenBias(8, 1), new TokenBias(9, float.NegativeInfinity)] : [],
                LogProbs = random.Next(4) == 0 ? random.Next(3) : null,
            },
        };
    }

    private static float[] Pool(Pooling pooling, int[] prompt)
    {
        float[] states = ScriptedModel.HiddenStates(prompt);
        return pooling.Kind switch
        {
            PoolingKind.Last => [states[^1]],
            PoolingKind.Mean => [(float)(states.Aggregate(0.0, (sum, state) => sum + state) / states.Length)],
            _ => [.. pooling.Positions.Select(p => states[p])],
        };
    }

    private static Pooling MakePooling(Random random, int length) => random.Next(3) switch
    {
        0 => Pooling.Last,
        1 => Pooling.Mean,
        _ => Pooling.At([.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => random.Next(length)).Distinct().Order()]),
    };

    private sealed class Submitted(GenerationRequest request, GenerationStream stream)
    {
        private readonly List<TokenEvent> _events = [];
        private readonly HashSet<int> _stopped = [];
        private bool _aborted;

        public GenerationRequest Request => request;

        /// <summary>Whether hidden states came.</summary>
        public bool Pooled => _events.Any(e => e.Pooled is not null);

        public void Read() => _events.AddRange(ScriptedEngine.Read(stream));

        public void Abort()
        {
            _aborted = true;
            _ = stream.DisposeAsync().AsTask();
        }

        public void Stop(Random random)
        {
            int choice = random.Next(request.Choices);
            if (!_events.Any(e => e.Choice == choice && e.Token >= 0)) return;
            _stopped.Add(choice);
            stream.StopChoice(choice);
        }

        public void Check(int maxModelLength)
        {
            if (request.Timeout is not null && !_aborted)
            {
                Assert.Equal(request.Choices, _events.Count);
                Assert.All(_events, e => Assert.Equal((-1, FinishReason.Timeout), (e.Token, e.Finish)));
                return;
            }
            if (request.Pooling is { } pooling)
            {
                CheckPooled(pooling);
                return;
            }
            bool poisoned = request.Prompt.Contains(ScriptedModel.Poison);
            int maxOutput = request.MaxTokens ?? maxModelLength - request.Prompt.Length;
            var promptEvents = _events.Where(e => e.PromptLogProbs is not null).ToList();
            if (request.PromptLogProbs is { } top && !poisoned)
            {
                if (!_aborted || promptEvents.Count > 0)
                {
                    var got = Assert.Single(promptEvents).PromptLogProbs!;
                    Assert.Same(promptEvents[0].PromptLogProbs, _events.First(e => e.PromptLogProbs is not null || e.Token >= 0).PromptLogProbs);
                    Assert.Null(got[0]);
                    Assert.Equal(request.Prompt.Skip(1), got.Skip(1).Select(p => p!.Token));
                    Assert.Equal(ScriptedModel.PromptLogProbs(request.Prompt), got.Skip(1).Select(p => p!.LogProb));
                    Assert.All(got.Skip(1), p => Assert.Equal(top, p!.Top.Count));
                }
            }
            else if (request.PromptLogProbs is null) Assert.Empty(promptEvents);

            for (int choice = 0; choice < request.Choices; choice++)
            {
                var (tokens, logProbs, finish) = ScriptedModel.Generate(request, choice, maxOutput);
                if (request.PromptLogProbs is not null && poisoned && Array.IndexOf(request.Prompt, ScriptedModel.Poison) < request.Prompt.Length - 1) finish = FinishReason.Error;
                var events = _events.Where(e => e.Choice == choice && e.PromptLogProbs is null).ToList();
                var got = events.Where(e => e.Token >= 0).ToList();
                Assert.True(got.Count <= tokens.Count);
                Assert.Equal(tokens.Take(got.Count), got.Select(e => e.Token));
                if (request.Sampling.LogProbs is { } alternatives)
                {
                    Assert.Equal(logProbs.Take(got.Count), got.Select(e => e.LogProb));
                    Assert.All(got, e => Assert.Equal(alternatives, e.TopLogProbs.Count));
                }
                Assert.All(events.SkipLast(1), e => Assert.Equal(FinishReason.None, e.Finish));
                if (_aborted) continue;
                if (_stopped.Contains(choice) && got.Count < tokens.Count)
                {
                    Assert.Equal((FinishReason.Stop, -1), (events[^1].Finish, events[^1].Token));
                    continue;
                }
                Assert.Equal(tokens.Count, got.Count);
                Assert.Equal(finish, events[^1].Finish);
            }
        }

        private void CheckPooled(Pooling pooling)
        {
            if (_aborted && _events.Count == 0) return;
            var only = Assert.Single(_events);
            if (_aborted && only.Finish == FinishReason.Abort) return;
            float[] expected = Pool(pooling, request.Prompt);
            Assert.Equal(expected.All(float.IsFinite) ? FinishReason.Stop : FinishReason.Error, only.Finish);
            if (only.Finish == FinishReason.Stop) Assert.Equal(expected, only.Pooled!.Select(row => Assert.Single(row)));
        }
    }
}
