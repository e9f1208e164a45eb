using QwenServe.Compute;
using QwenServe.Compute.Cpu;
using QwenServe.Compute.Reference;

namespace QwenServe.Tests.Compute;

/// <summary>Sampling on logits that a one-hot model lets a test choose: the embedding is the head, and the norm's weights are the logits.</summary>
public class CpuSamplingTests
{
    [Fact]
    public void Draws_agree_with_sorting_everything()
    {
        const int Vocabulary = 1000;
        var random = new Random(11);
        foreach (bool holes in new[] { false, true })
        {
            uint[] vocabulary = new uint[(Vocabulary + 31) / 32];
            for (int id = 0; id < Vocabulary - 37; id++)
                if (!holes || id % 50 != 3) vocabulary[id / 32] |= 1u << (id % 32);
            using var rig = new Rig(Vocabulary, vocabulary, 64);
            for (int round = 0; round < 12; round++)
            {
                rig.NewLogits(random, round);
                for (int slot = 0; slot < 64; slot++)
                {
                    int[] prompt = [.. Enumerable.Range(0, 30).Select(_ => random.Next(Vocabulary))];
                    int[] output = [.. Enumerable.Range(0, 20).Select(_ => random.Next(Vocabulary))];
                    rig.Assign(slot, prompt, output);
                }
                var inputs = new SamplingInputs(64, Vocabulary) { Count = 64 };
                inputs.Masks = new uint[2 * inputs.MaskStride];
                for (int i = 0; i < inputs.Masks.Length; i++) inputs.Masks[i] = (uint)random.NextInt64() & (uint)random.NextInt64();
                inputs.MaskCount = 2;
                for (int i = 0; i < 64; i++)
                {
                    int biases = random.Next(3) * 4;
                    inputs.Rows[i] = new SamplingRow
                    {
                        LogitRow = i % rig.Rows,
                        Slot = i,
                        Target = random.Next(8) == 0 ? random.Next(Vocabulary) : -1,
                        Temperature = random.Next(4) == 0 ? 0 : 0.3f + random.NextSingle(),
                        TopK = random.Next(3) switch { 0 => 0, 1 => 1 + random.Next(40), _ => 300 + random.Next(300) },
                        TopP = random.Next(2) == 0 ? 1 : 0.5f + 0.5f * random.NextSingle(),
                        MinP = random.Next(3) == 0 ? 0.05f : 0,
                        PresencePenalty = random.Next(3) == 0 ? 0.7f : 0,
                        FrequencyPenalty = random.Next(3) == 0 ? 0.3f : 0,
                        RepetitionPenalty = random.Next(2) == 0 ? 1 : 1.2f,
                        Seed = (ulong)random.NextInt64(),
                        Position = random.Next(1000),
                        TopLogProbs = random.Next(4) - 1 == 2 ? 20 : random.Next(3) - 1,
                        BiasStart = inputs.Biases.Count,
                        BiasCount = biases,
                        MaskRow = random.Next(3) - 1,
                    };
                    for (int b = 0; b < biases; b++)
                        inputs.Biases.Add(new TokenBias(random.Next(Vocabulary), b == 0 ? float.NegativeInfinity : random.NextSingle() * 6 - 3));
                }
                rig.Compare(inputs);
            }
        }
    }

    [Fact]
    public void Frequencies_are_the_probabilities()
    {
        const int Draws = 20_000;
        using var rig = new Rig(40, Bits(40), 64);
        rig.NewLogits(new Random(5), 0);
        float[] logits = rig.Logits(0);
        foreach (var (topK, topP) in new[] { (0, 1f), (12, 1f), (0, 0.9f), (12, 0.8f) })
        {
            var counts = new int[40];
            for (int draw = 0; draw < Draws; draw += 64)
            {
                var inputs = new SamplingInputs(64, 40) { Count = Math.Min(64, Draws - draw) };
                for (int i = 0; i < inputs.Count; i++)
                    inputs.Rows[i] = Plain(i) with { LogitRow = 0, Temperature = 0.8f, TopK = topK, TopP = topP, Seed = 99, Position = draw + i };
                foreach (int token in rig.Sample(inputs).Tokens.AsSpan(0, inputs.Count)) counts[token]++;
            }
            double[] expected = Expected(logits, 0.8, topK, topP);
            double chiSquare = 0;
            int cells = 0;
            for (int i = 0; i < 40; i++)
            {
                if (expected[i] == 0) Assert.Equal(0, counts[i]);
                if (expected[i] * Draws < 5) continue;
                chiSquare += Math.Pow(counts[i] - expected[i] * Draws, 2) / (expected[i] * Draws);
                cells++;
            }
            // Mean cells - 1, variance twice that: four deviations.
            Assert.InRange(chiSquare, 0, cells - 1 + 4 * Math.Sqrt(2 * (cells - 1)));
        }
    }

    [Fact]
    public void A_row_without_finite_logits_is_flagged_and_its_neighbours_go_on()
    {
        using var rig = new Rig(100, Bits(100), 4) { PoisonedRow = 1 };
        rig.NewLogits(new Random(1), 0);
        var inputs = new SamplingInputs(4, 100) { Count = 3 };
        for (int i = 0; i < 3; i++) inputs.Rows[i] = Plain(i) with { LogitRow = i };
        var results = rig.Sample(inputs);
        Assert.Equal([SampleStatus.Sampled, SampleStatus.NonFinite, SampleStatus.Sampled], results.Status[..3]);
    }

    [Fact]
    public void Two_samplings_may_wait_and_come_back_in_order()
    {
        using var rig = new Rig(100, Bits(100), 4);
        rig.NewLogits(new Random(1), 0);
        var inputs = new SamplingInputs(4, 100) { Count = 1 };
        int[] expected = new int[2];
        for (int i = 0; i < 2; i++)
        {
            inputs.Rows[0] = Plain(0) with { LogitRow = i };
            expected[i] = rig.Sample(inputs).Tokens[0];
        }
        for (int i = 0; i < 2; i++)
        {
            inputs.Rows[0] = Plain(0) with { LogitRow = i };
            rig.Device.Sample(inputs);
        }
        var results = new SamplingResults(4);
        for (int i = 0; i < 2; i++)
        {
            rig.Device.Complete(results);
            Assert.Equal(expected[i], results.Tokens[0]);
        }
        Assert.Throws<InvalidOperationException>(() => rig.Device.Complete(results));
    }

    private static SamplingRow Plain(int slot)
        => new() { Slot = slot, Target = -1, TopP = 1, RepetitionPenalty = 1, TopLogProbs = -1, MaskRow = -1 };

    private static uint[] Bits(int count)
    {
        uint[] words = new uint[(count + 31) / 32];
        for (int i = 0; i < count; i++) words[i / 32] |= 1u << (i % 32);
        return words;
    }

    private static double[] Expected(float[] logits, double temperature, int topK, double topP)
    {
        int[] order = [.. Enumerable.Range(0, logits.Length).OrderByDescending(i => logits[i])];
        double[] p = new double[logits.Length];
        foreach (int i in order.Take(topK == 0 ? logits.Length : topK)) p[i] = Math.Exp((logits[i] - logits[order[0]]) / temperature);
        double total = p.Sum(), sum = 0;
        foreach (int i in order)
        {
            if (sum >= topP * total) p[i] = 0;
            sum += p[i];
        }
        total = p.Sum();
        return [.. p.Select(x => x / total)];
    }

    /// <summary>Sixteen rows of logits on the device and on the oracle, by a head with sixteen columns of which token t selects one.</summary>
    private sealed class Rig : IDisposable
    {
        private readonly int _vocabulary;
        private readonly uint[] _ids;
        private readonly int _slots;
        private readonly ReferenceDevice _oracle = new();
        private float[] _head = [];

        public Rig(int vocabulary, uint[] ids, int slots)
        {
            _vocabulary = vocabulary;
            _ids = ids;
            _slots = slots;
        }

        public CpuDevice Device { get; private set; } = new(new CpuOptions { Threads = 2 });

        public int Rows => 16;

        public int PoisonedRow { get; init; } = -1;

        public void NewLogits(Random random, int shape)
        {
            _head = new float[_vocabulary * Rows];
            for (int i = 0; i < _head.Length; i++)
            {
                // Flat, peaked, and with many ties.
                double x = random.NextDouble() * 2 - 1;
                _head[i] = shape % 3 == 2 ? (float)Math.Round(x * 3) : (float)(x * (shape % 3 == 0 ? 1 : 8));
            }
            Load();
        }

        public float[] Logits(int row)
        {
            float[] logits = new float[_vocabulary];
            Device.ReadLogits(row, logits);
            return logits;
        }

        public void Assign(int slot, int[] prompt, int[] output)
        {
            Device.AssignSlot(slot, prompt, output);
            _oracle.AssignSlot(slot, prompt, output);
        }

        public SamplingResults Sample(SamplingInputs inputs)
        {
            Device.Sample(inputs);
            var results = new SamplingResults(inputs.Count);
            Device.Complete(results);
            return results;
        }

        public void Compare(SamplingInputs inputs)
        {
            var actual = Sample(inputs);
            _oracle.Sample(inputs);
            var expected = new SamplingResults(inputs.Count);
            _oracle.Complete(expected);
            for (int i = 0; i < inputs.Count; i++)
            {
                Assert.Equal(expected.Status[i], actual.Status[i]);
                Assert.True(expected.Tokens[i] == actual.Tokens[i], $"{expected.Tokens[i]} and {actual.Tokens[i]}: {Describe(inputs.Rows[i])}");
                if (inputs.Rows[i].TopLogProbs < 0) continue;
                Assert.Equal(expected.LogProbs[i], actual.LogProbs[i], 1e-4f);
                for (int k = 0; k < inputs.Rows[i].TopLogProbs; k++)
                {
                    int at = i * SamplingResults.MaxTopLogProbs + k;
                    Assert.Equal(expected.TopTokens[at], actual.TopTokens[at]);
                    Assert.Equal(expected.TopLogProbs[at], actual.TopLogProbs[at], 1e-4f);
                }
            }
        }

        public void Dispose() => Device.Dispose();

        private static string Describe(SamplingRow r)
            => $"T {r.Temperature} k {r.TopK} p {r.TopP} min-p {r.MinP} rep {r.RepetitionPenalty} mask {r.MaskRow} biases {r.BiasCount}";

        private void Load()
        {
            Device.Dispose();
            Device = new CpuDevice(new CpuOptions { Threads = 2 });
            foreach (IDevice device in new IDevice[] { Device, _oracle })
            {
                var geometry = new ModelGeometry
                {
                    HiddenSize = Rows,
                    LayerCount = 1,
                    HeadCount = 1,
                    KvHeadCount = 1,
                    HeadDim = 8,
                    IntermediateSize = 8,
                    VocabularySize = _vocabulary,
                    RmsNormEpsilon = 0,
                };
                device.Configure(geometry, null);
                device.SetVocabulary(_ids);
                // RMSNorm turns the unit vector of row t into exactly four times itself; the norm's weight takes that back.
                float[] norm = new float[Rows];
                Array.Fill(norm, 1 / MathF.Sqrt(Rows));
                float[] table = new float[_vocabulary * Rows];
                for (int t = 0; t < Rows; t++) table[t * Rows + t] = t == PoisonedRow ? float.NaN : 1;
                var normWeight = device.LoadVector(Tensor(1, Rows, norm));
                var embedding = device.LoadEmbedding(Tensor(_vocabulary, Rows, table), tied: false);
                var head = device.LoadLinear([Tensor(_vocabulary, Rows, _head)], []);
                device.AllocateStep(new StepLimits(Rows, _slots, Rows, 16));
                device.AllocateKvCache(1, 16, DType.F32);
                var inputs = new StepInputs(new StepLimits(Rows, _slots, Rows, 16), 1)
                {
                    TokenCount = Rows,
                    SequenceCount = 1,
                    LogitCount = Rows,
                };
                inputs.QueryStarts[1] = Rows;
                for (int t = 0; t < Rows; t++)
                {
                    inputs.TokenIds[t] = t;
                    inputs.Positions[t] = t;
                    inputs.LogitTokens[t] = t;
                }
                device.Begin(inputs);
                device.Embed(embedding);
                device.NormLogits(normWeight, head);
            }
        }

        private static HostTensor Tensor(int rows, int columns, float[] values)
            => new("test", DType.F32, rows, columns, HostMemory.CopyOf<float>(values), 0);
    }
}
