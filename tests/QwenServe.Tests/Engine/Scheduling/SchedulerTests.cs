using QwenServe.Compute;
using QwenServe.Engine;
using static QwenServe.Tests.Engine.ScriptedEngine;

namespace QwenServe.Tests.Engine.Scheduling;

public class SchedulerTests
{
    private static readonly EngineOptions Small = new() { MaxModelLength = 200, BlockSize = 4, MaxNumSeqs = 8, MaxNumBatchedTokens = 16 };

    [Fact]
    public void A_long_prompt_is_computed_in_chunks_behind_the_decoding_sequences()
    {
        using var scripted = new ScriptedEngine(Small);
        scripted.Submit(Prompt(3, 1), 30);
        scripted.Step();
        scripted.Submit(Prompt(40, 2), 30);
        var steps = new List<int[]>();
        for (int i = 0; i < 4; i++)
        {
            scripted.Step();
            steps.Add([.. scripted.Device.LastRows]);
        }
        Assert.Equal([[1, 15], [1, 15], [1, 10], [1, 1]], steps);
    }

    [Fact]
    public void Several_short_prompts_share_a_step()
    {
        using var scripted = new ScriptedEngine(Small);
        for (int i = 0; i < 4; i++) scripted.Submit(Prompt(5, i));
        scripted.Step();
        Assert.Equal([1, 5, 5, 5], scripted.Device.LastRows);
    }

    [Fact]
    public void No_more_sequences_run_than_allowed_and_the_rest_wait_in_order()
    {
        using var scripted = new ScriptedEngine(Small with { MaxNumSeqs = 2, MaxNumBatchedTokens = 64 });
        var streams = Enumerable.Range(0, 4).Select(i => scripted.Submit(Prompt(5, i), maxTokens: 3)).ToList();
        scripted.Step();
        Assert.Equal((2, 2), (scripted.Engine.Metrics.Running, scripted.Engine.Metrics.Waiting));
        Assert.Equal([1, 1, 0, 0], streams.Select(s => Tokens(Read(s)).Length));
        scripted.Drain();
        Assert.Equal([2, 2, 3, 3], streams.Select(s => Tokens(Read(s)).Length));
    }

    [Fact]
    public void Preempts_the_latest_arrival_first()
    {
        // 8 blocks of 4: each sequence may grow to 7 blocks, so both cannot end at once.
        using var scripted = new ScriptedEngine(Small with { MaxModelLength = 28 }, blocks: 8);
        var old = scripted.Submit(Prompt(4, 1), 20);
        var young = scripted.Submit(Prompt(4, 2), 20);
        bool oldDone = false;
        while (scripted.Engine.Metrics.Preemptions == 0) scripted.Step();
        Assert.Equal((1, 1), (scripted.Engine.Metrics.Running, scripted.Engine.Metrics.Waiting));
        var counts = new[] { Tokens(Read(old)).Length, Tokens(Read(young)).Length };
        scripted.Step();
        Assert.Single(Tokens(Read(old)));
        Assert.Empty(Tokens(Read(young)));
        scripted.Drain();
        oldDone = Read(old)[^1].Finish == FinishReason.Length;
        Assert.True(oldDone);
        Assert.Equal(20, counts[1] + Tokens(Read(young)).Length);
    }

    [Fact]
    public void A_request_that_fills_the_whole_cache_ends()
    {
        using var scripted = new ScriptedEngine(Small with { MaxModelLength = 1000 }, blocks: 6);
        Assert.Equal(24, scripted.Engine.MaxModelLength);
        var streams = Enumerable.Range(0, 5).Select(i => scripted.Submit(Prompt(10, i), maxTokens: null)).ToList();
        scripted.Drain();
        Assert.All(streams, s => Assert.Equal(14, Tokens(Read(s)).Length));
    }

    [Fact]
    public void Preemption_changes_no_token()
    {
        int[] Alone(int seed)
        {
            using var roomy = new ScriptedEngine(Small);
            return roomy.Finish(roomy.Submit(Prompt(9, seed), 40));
        }

        using var tight = new ScriptedEngine(Small with { MaxModelLength = 52 }, blocks: 16);
        var streams = Enumerable.Range(0, 4).Select(i => tight.Submit(Prompt(9, i), 40)).ToList();
        tight.Drain();
        Assert.True(tight.Engine.Metrics.Preemptions > 0);
        Assert.Equal(Enumerable.Range(0, 4).Select(Alone), streams.Select(s => Tokens(Read(s))));
    }

    [Fact]
    public void A_cached_prefix_is_not_computed_again()
    {
        using var scripted = new ScriptedEngine(Small);
        var first = scripted.Submit(Prompt(22), 1);
        int[] tokens = scripted.Finish(first);
        long computed = scripted.Device.ComputedTokens;
        var second = scripted.Submit(Prompt(22), 1);
        Assert.Equal(tokens, scripted.Finish(second));
        Assert.Equal(2, scripted.Device.ComputedTokens - computed);
        Assert.Equal((0, 20), (first.CachedTokens, second.CachedTokens));
        Assert.Equal((44, 20), (scripted.Engine.Metrics.PrefixQueries, scripted.Engine.Metrics.PrefixHits));
    }

    [Fact]
    public void The_last_token_of_a_fully_cached_prompt_is_computed_again()
    {
        using var scripted = new ScriptedEngine(Small);
        int[] tokens = scripted.Finish(scripted.Submit(Prompt(16), 1));
        var second = scripted.Submit(Prompt(16), 1);
        Assert.Equal(tokens, scripted.Finish(second));
        Assert.Equal(12, second.CachedTokens);
    }

    [Fact]
    public void A_conversation_finds_the_blocks_of_its_earlier_answer()
    {
        using var scripted = new ScriptedEngine(Small);
        int[] answer = scripted.Finish(scripted.Submit(Prompt(10), 10));
        int[] next = [.. Prompt(10), .. answer, 40, 41];
        var second = scripted.Submit(next, 1);
        scripted.Drain();
        // 20 tokens, of which the last was drawn and never computed: 4 full blocks.
        Assert.Equal(16, second.CachedTokens);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Choices_share_the_prompt_and_differ_in_their_tokens(bool overlap)
    {
        using var scripted = new ScriptedEngine(Small with { OverlapSteps = overlap, EnablePrefixCaching = false });
        var stream = scripted.Submit(Prompt(14), 5, choices: 4);
        scripted.Step();
        scripted.Step();
        // The prompt once; 3 of the 4 copies of its last, partial block once they decode.
        scripted.Drain();
        Assert.Equal(3, scripted.Device.Copies);
        Assert.Equal(14 + 4 * 4, scripted.Device.ComputedTokens);
        var events = Read(stream);
        var texts = Enumerable.Range(0, 4).Select(c => string.Join(' ', Tokens(events, c))).ToList();
        Assert.Equal(4, texts.Distinct().Count());
    }

    [Fact]
    public void More_choices_than_slots_all_end()
    {
        using var scripted = new ScriptedEngine(Small with { MaxNumSeqs = 2 });
        var stream = scripted.Submit(Prompt(14), 5, choices: 7);
        scripted.Drain();
        var events = Read(stream);
        Assert.Equal(7, events.Count(e => e.Finish == FinishReason.Length));
        Assert.Equal(35, events.Count(e => e.Token >= 0));
    }

    [Fact]
    public void The_same_seed_gives_the_same_tokens_whatever_else_is_in_the_batch()
    {
        var sampling = new SamplingParameters { Seed = 99, IgnoreEos = true };
        using var scripted = new ScriptedEngine(Small);
        int[] alone = scripted.Finish(scripted.Submit(Prompt(11), 12, sampling));
        for (int i = 0; i < 5; i++) scripted.Submit(Prompt(7, 50 + i), 20);
        scripted.Step();
        var crowded = scripted.Submit(Prompt(11), 12, sampling);
        Assert.Equal(alone, scripted.Finish(crowded));
        Assert.NotEqual(alone, scripted.Finish(scripted.Submit(Prompt(11), 12, sampling with { Seed = 100 })));
    }

    [Fact]
    public void Requests_without_a_seed_differ()
    {
        using var scripted = new ScriptedEngine(Small);
        var sampling = new SamplingParameters { IgnoreEos = true };
        int[] first = scripted.Finish(scripted.Submit(Prompt(11), 20, sampling));
        Assert.NotEqual(first, scripted.Finish(scripted.Submit(Prompt(11), 20, sampling)));
    }

    [Fact]
    public void A_stop_id_ends_a_choice_and_is_its_last_token()
    {
        using var scripted = new ScriptedEngine(Small);
        int[] free = scripted.Finish(scripted.Submit(Prompt(5), 20));
        int stop = free[6];
        int end = Array.IndexOf(free, stop);
        var stream = scripted.Submit(Prompt(5), 20, new() { Seed = 7, IgnoreEos = true, StopTokenIds = [stop] });
        scripted.Drain();
        var events = Read(stream);
        Assert.Equal((stop, FinishReason.Stop), (events[^1].Token, events[^1].Finish));
        Assert.Equal(free[..(end + 1)], Tokens(events));
    }

    [Fact]
    public void No_end_token_is_drawn_before_min_tokens()
    {
        using var scripted = new ScriptedEngine(Small with { MaxNumBatchedTokens = 64 });
        var streams = Enumerable.Range(0, 60).Select(i => scripted.Submit(Prompt(5, i), 60, new() { Seed = i, MinTokens = 30, StopTokenIds = [10, 11, 12, 13, 14] })).ToList();
        scripted.Drain();
        var counts = streams.Select(s => Read(s).Count).ToList();
        Assert.All(counts, c => Assert.True(c > 30));
        Assert.Contains(counts, c => c < 60);
    }

    [Fact]
    public void Max_tokens_zero_draws_nothing_but_gives_prompt_log_probs()
    {
        using var scripted = new ScriptedEngine(Small);
        var stream = scripted.Submit(Prompt(45), 0, promptLogProbs: 2, choices: 2);
        scripted.Drain();
        var events = Read(stream);
        Assert.Equal(45, events[0].PromptLogProbs!.Count);
        Assert.Equal([FinishReason.Length, FinishReason.Length], events.Skip(1).Select(e => e.Finish));
        Assert.Equal(3, events.Count);
    }

    [Fact]
    public void Prompt_log_probs_do_not_read_the_prefix_cache()
    {
        using var scripted = new ScriptedEngine(Small);
        scripted.Finish(scripted.Submit(Prompt(40), 1));
        var stream = scripted.Submit(Prompt(40), 1, promptLogProbs: 0);
        scripted.Drain();
        Assert.Equal(ScriptedModel.PromptLogProbs(Prompt(40)), Read(stream)[0].PromptLogProbs!.Skip(1).Select(p => p!.LogProb));
        Assert.Equal(0, stream.CachedTokens);
    }

    [Fact]
    public void Logits_that_are_not_finite_end_their_own_request_only()
    {
        using var scripted = new ScriptedEngine(Small);
        int[] bad = Prompt(12);
        bad[10] = ScriptedModel.Poison;
        var good = scripted.Submit(Prompt(12, 2), 6);
        var broken = scripted.Submit(bad, 6);
        scripted.Drain();
        Assert.Equal(6, Tokens(Read(good)).Length);
        var end = Assert.Single(Read(broken));
        Assert.Equal(FinishReason.Error, end.Finish);
        Assert.Equal("the model's logits are not finite", end.Error);
        Assert.Equal(1, scripted.Engine.Metrics.NonFiniteRows);
    }

    [Fact]
    public void Blocks_behind_logits_that_are_not_finite_are_not_found_again()
    {
        using var scripted = new ScriptedEngine(Small);
        int[] bad = Prompt(13);
        bad[1] = ScriptedModel.Poison;
        scripted.Submit(bad, 6);
        scripted.Drain();
        var again = scripted.Submit(bad, 6);
        scripted.Drain();
        Assert.Equal(0, again.CachedTokens);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_stopped_choice_computes_no_more_and_its_siblings_go_on(bool overlap)
    {
        using var scripted = new ScriptedEngine(Small with { OverlapSteps = overlap });
        int[][] alone = [.. Enumerable.Range(0, 3).Select(choice =>
        {
            var stream = scripted.Submit(Prompt(6), 20, choices: 3);
            scripted.Drain();
            return Tokens(Read(stream), choice);
        })];
        var events = new List<TokenEvent>();
        var stopped = scripted.Submit(Prompt(6), 20, choices: 3);
        while (Tokens(events, 1).Length < 5)
        {
            scripted.Step();
            events.AddRange(Read(stopped));
        }
        int drawn = Tokens(events, 1).Length;
        stopped.StopChoice(1);
        scripted.Step();
        Assert.Equal(2, scripted.Engine.Scheduler.RunningCount);
        scripted.Drain();
        events.AddRange(Read(stopped));
        Assert.Equal(alone[0], Tokens(events, 0));
        Assert.Equal(alone[2], Tokens(events, 2));
        Assert.Equal(drawn, Tokens(events, 1).Length);
        Assert.Equal(FinishReason.Stop, events.Last(e => e.Choice == 1).Finish);
        Assert.Equal((1, 0), (scripted.Engine.Metrics.Ended(FinishReason.Stop), scripted.Engine.Metrics.Ended(FinishReason.Abort)));
        Assert.Equal(scripted.Engine.Cache.BlockCount, scripted.Engine.Cache.FreeBlocks);
    }

    [Fact]
    public void The_last_choice_stopped_ends_the_request()
    {
        using var scripted = new ScriptedEngine(Small);
        var stream = scripted.Submit(Prompt(6), 20, choices: 2);
        scripted.Step();
        stream.StopChoice(0);
        stream.StopChoice(1);
        stream.StopChoice(1);
        scripted.Step();
        Assert.False(scripted.Engine.Loop.HasWork);
        Assert.Equal(2, scripted.Engine.Metrics.Ended(FinishReason.Stop));
    }

    [Fact]
    public void A_choice_is_not_stopped_before_its_prompt_is_computed_for_all()
    {
        using var scripted = new ScriptedEngine(Small);
        var stream = scripted.Submit(Prompt(40), 3, choices: 2);
        scripted.Step();
        stream.StopChoice(0);
        scripted.Drain();
        var events = Read(stream);
        Assert.Equal((3, 3), (Tokens(events, 0).Length, Tokens(events, 1).Length));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_a_grammar_forces_is_computed_in_one_step_and_not_drawn(bool overlap)
    {
        using var scripted = new ScriptedEngine(Small with { OverlapSteps = overlap });
        int[] forced = [10, 11, 12, 13, 14, 15];
        var mask = new OnceJumpingMask(forced);
        var stream = scripted.Submit(Prompt(6), 12, mask: _ => mask);
        var rows = new List<int>();
        while (scripted.Engine.Loop.HasWork || rows.Count == 0)
        {
            scripted.Step();
            rows.AddRange(scripted.Device.LastRows);
            scripted.Device.LastRows.Clear();
        }
        int[] tokens = Tokens(Read(stream));
        Assert.Equal(12, tokens.Length);
        Assert.Equal(forced, tokens[1..7]);
        // The prompt, the first draw, what follows it, and of five draws more all but the last.
        Assert.Equal([6, 1, 6, 1, 1, 1, 1], rows);
        Assert.Equal((6, 12), (scripted.Engine.Metrics.ForcedTokens, scripted.Engine.Metrics.GenerationTokens));
        Assert.Equal(1, scripted.Engine.Metrics.Ended(FinishReason.Length));
    }

    [Theory]
    [InlineData(0, null)]
    [InlineData(null, 0)]
    public void Nothing_is_forced_where_log_probs_are_asked_for(int? logProbs, int? promptLogProbs)
    {
        using var scripted = new ScriptedEngine(Small);
        scripted.Finish(scripted.Submit(Prompt(6), 12, new() { Seed = 7, IgnoreEos = true, LogProbs = logProbs }, promptLogProbs: promptLogProbs, mask: _ => new OnceJumpingMask([10, 11, 12])));
        Assert.Equal(0, scripted.Engine.Metrics.ForcedTokens);
    }

    [Fact]
    public void A_grammar_that_fails_ends_its_own_choice_only()
    {
        using var scripted = new ScriptedEngine(Small);
        var stream = scripted.Submit(Prompt(6), 8, choices: 2, mask: choice => new FailingMask(choice == 1 ? 3 : 1000));
        scripted.Drain();
        var events = Read(stream);
        Assert.Equal(8, Tokens(events, 0).Length);
        Assert.Equal(3, Tokens(events, 1).Length);
        var end = events.Last(e => e.Choice == 1);
        Assert.Equal((FinishReason.Error, "the grammar failed: no rule"), (end.Finish, end.Error));
    }

    [Fact]
    public void A_grammar_that_admits_nothing_ends_its_choice_with_an_error()
    {
        using var scripted = new ScriptedEngine(Small);
        var stream = scripted.Submit(Prompt(6), 8, mask: _ => new EmptyMask());
        scripted.Drain();
        var end = Assert.Single(Read(stream));
        Assert.Equal((FinishReason.Error, "the grammar admits no token"), (end.Finish, end.Error));
        Assert.Equal(0, scripted.Engine.Metrics.NonFiniteRows);
    }

    [Fact]
    public void A_mask_admits_what_is_drawn()
    {
        using var scripted = new ScriptedEngine(Small);
        var mask = new FailingMask(1000);
        int[] tokens = scripted.Finish(scripted.Submit(Prompt(6), 20, mask: _ => mask));
        Assert.All(tokens, t => Assert.Equal(0, t % 2));
        Assert.Equal(tokens.SkipLast(1), mask.Accepted);
    }

    [Fact]
    public void A_request_whose_time_is_over_ends()
    {
        using var scripted = new ScriptedEngine(Small with { MaxNumSeqs = 1 });
        var running = scripted.Submit(Prompt(6), 100, timeout: TimeSpan.FromHours(1));
        var waiting = scripted.Submit(Prompt(6, 2), 100, timeout: TimeSpan.Zero);
        scripted.Step();
        var end = Assert.Single(Read(waiting));
        Assert.Equal((FinishReason.Timeout, "the request's time was over before its turn came"), (end.Finish, end.Error));
        Assert.Single(Read(running));
        Assert.Equal((1, 0), (scripted.Engine.Metrics.TimedOutQueued, scripted.Engine.Metrics.TimedOutRunning));
    }

    [Theory]
    [InlineData("temperature", -0.1)]
    [InlineData("temperature", double.NaN)]
    [InlineData("top_p", 0)]
    [InlineData("top_p", 1.1)]
    [InlineData("top_k", -2)]
    [InlineData("min_p", 1.5)]
    [InlineData("presence_penalty", 2.5)]
    [InlineData("frequency_penalty", -3)]
    [InlineData("repetition_penalty", 0)]
    [InlineData("min_tokens", -1)]
    [InlineData("logprobs", 21)]
    [InlineData("logit_bias", 70)]
    [InlineData("stop_token_ids", -1)]
    public void A_value_out_of_range_is_refused_by_name(string parameter, double value)
    {
        float number = (float)value;
        var sampling = parameter switch
        {
            "temperature" => new SamplingParameters { Temperature = number },
            "top_p" => new SamplingParameters { TopP = number },
            "top_k" => new SamplingParameters { TopK = (int)number },
            "min_p" => new SamplingParameters { MinP = number },
            "presence_penalty" => new SamplingParameters { PresencePenalty = number },
            "frequency_penalty" => new SamplingParameters { FrequencyPenalty = number },
            "repetition_penalty" => new SamplingParameters { RepetitionPenalty = number },
            "min_tokens" => new SamplingParameters { MinTokens = (int)number },
            "logprobs" => new SamplingParameters { LogProbs = (int)number },
            "logit_bias" => new SamplingParameters { LogitBias = [new TokenBias((int)number, 1)] },
            _ => new SamplingParameters { StopTokenIds = [(int)number] },
        };
        using var scripted = new ScriptedEngine(Small);
        var refused = Assert.Throws<InvalidParameterException>(() => scripted.Submit(Prompt(4), sampling: sampling));
        Assert.Equal(parameter, refused.Parameter);
        Assert.Contains(parameter, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_prompt_that_leaves_no_room_is_refused()
    {
        using var scripted = new ScriptedEngine(Small);
        var refused = Assert.Throws<PromptTooLongException>(() => scripted.Submit(Prompt(150), 51));
        Assert.Equal("This model's maximum context length is 200 tokens. However, you requested 201 tokens (150 in the prompt, 51 in the completion).", refused.Message);
        Assert.Throws<PromptTooLongException>(() => scripted.Submit(Prompt(200), null));
        scripted.Submit(Prompt(199), null);
        scripted.Submit(Prompt(200), 0, promptLogProbs: 0);
        scripted.Drain();
    }

    /// <summary>Admits all, and forces some ids behind the first.</summary>
    private sealed class OnceJumpingMask(int[] ids) : ITokenMask
    {
        private int _accepted;
        private bool _due;

        public void Fill(Span<uint> mask) => mask.Fill(uint.MaxValue);

        public bool Accept(int token)
        {
            _due = ++_accepted == 1;
            return true;
        }

        public int[] Jump(int most)
        {
            if (!_due || most < ids.Length) return [];
            _due = false;
            return ids;
        }
    }

    private sealed class EmptyMask : ITokenMask
    {
        public void Fill(Span<uint> mask) => mask.Clear();

        public bool Accept(int token) => true;
    }

    /// <summary>Admits even ids and fails when it has filled so many masks.</summary>
    private sealed class FailingMask(int fills) : ITokenMask
    {
        public List<int> Accepted { get; } = [];

        public void Fill(Span<uint> mask)
        {
            if (fills-- == 0) throw new InvalidOperationException("no rule");
            mask.Fill(0x55555555);
        }

        public bool Accept(int token)
        {
            Accepted.Add(token);
            return token % 2 == 0;
        }
    }
}
