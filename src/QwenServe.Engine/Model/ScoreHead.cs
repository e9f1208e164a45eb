using System.Numerics;
using QwenServe.Compute;

namespace QwenServe.Engine.Model;

/// <summary>
/// What turns a hidden state into scores: Linear, ReLU, Linear with biases in reward models, one Linear without in a sequence classifier.
/// It is small, is asked for a few rows a request, and is therefore computed on the host in fp32, by whoever asks; it never changes after loading.
/// Source: the modeling code of Qwen2.5-Math-RM and Qwen2.5-Math-PRM; Qwen2ForSequenceClassification of transformers.
/// </summary>
public sealed class ScoreHead
{
    private readonly int _width;
    private readonly float[]? _hidden, _hiddenBias;
    private readonly float[] _output;
    private readonly float[]? _outputBias;

    private ScoreHead(int width, int outputs, float[]? hidden, float[]? hiddenBias, float[] output, float[]? outputBias)
        => (_width, Outputs, _hidden, _hiddenBias, _output, _outputBias) = (width, outputs, hidden, hiddenBias, output, outputBias);

    /// <summary>Scores a row gives.</summary>
    public int Outputs { get; }

    /// <summary>The head of a checkpoint that is for scoring; null for others.</summary>
    /// <exception cref="CheckpointException">A tensor is missing or of another shape.</exception>
    internal static ScoreHead? Load(Checkpoint checkpoint)
    {
        int width = checkpoint.Config.Geometry.HiddenSize;
        switch (checkpoint.Config.Task)
        {
            case ModelTask.Classify:
                int labels = OutputsOf("score.weight");
                return new ScoreHead(width, labels, null, null, checkpoint.Matrix("score.weight", labels, width).ToFloats(), null);
            case ModelTask.Reward or ModelTask.ProcessReward:
                // The names are those of places in a Sequential; 1 is the ReLU.
                int outputs = checkpoint.Config.Task == ModelTask.ProcessReward ? 2 : 1;
                return new ScoreHead(width, outputs,
                    checkpoint.Matrix("score.0.weight", width, width).ToFloats(), checkpoint.Vector("score.0.bias", width).ToFloats(),
                    checkpoint.Matrix("score.2.weight", outputs, width).ToFloats(), checkpoint.Vector("score.2.bias", outputs).ToFloats());
            default:
                return null;
        }

        int OutputsOf(string name) => checkpoint.ShapeOf(name) is [> 0 and <= 65536, _] shape ? (int)shape[0] : 1;
    }

    /// <summary>Scores of each hidden state, [rows][Outputs].</summary>
    public float[][] Apply(IReadOnlyList<float[]> rows)
    {
        var inner = _hidden is null ? rows : Linear(rows, _hidden, _hiddenBias, _width);
        if (_hidden is not null)
            foreach (float[] row in inner)
                for (int i = 0; i < row.Length; i++) row[i] = Math.Max(row[i], 0);
        return Linear(inner, _output, _outputBias, Outputs);
    }

    /// <summary>y = x·Wᵀ + b; each row of W is read once for all x.</summary>
    private float[][] Linear(IReadOnlyList<float[]> x, float[] weight, float[]? bias, int outputs)
    {
        var y = new float[x.Count][];
        for (int r = 0; r < y.Length; r++) y[r] = new float[outputs];
        for (int o = 0; o < outputs; o++)
        {
            var w = weight.AsSpan(o * _width, _width);
            for (int r = 0; r < y.Length; r++) y[r][o] = Dot(x[r], w) + (bias?[o] ?? 0);
        }
        return y;
    }

    private static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        int width = Vector<float>.Count, whole = a.Length - a.Length % width;
        var lanes = Vector<float>.Zero;
        for (int i = 0; i < whole; i += width) lanes += new Vector<float>(a.Slice(i, width)) * new Vector<float>(b.Slice(i, width));
        float sum = Vector.Sum(lanes);
        for (int i = whole; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }
}
