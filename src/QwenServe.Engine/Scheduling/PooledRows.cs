namespace QwenServe.Engine.Scheduling;

/// <summary>
/// Hidden states of a prompt as its chunks bring them. A mean is summed in double precision one token after the other in the order of
/// positions, so that it does not depend on where the prompt was cut. Preemption starts it anew, as it does the keys and values.
/// </summary>
internal sealed class PooledRows
{
    private readonly Pooling _pooling;
    private readonly int _length;
    private readonly int _hidden;
    private readonly double[] _sum;
    private readonly float[][] _rows;
    private int _taken;

    /// <param name="pooling">What is wanted.</param>
    /// <param name="length">Tokens of the prompt.</param>
    /// <param name="hidden">Elements of a hidden state.</param>
    public PooledRows(Pooling pooling, int length, int hidden)
    {
        (_pooling, _length, _hidden) = (pooling, length, hidden);
        _sum = pooling.Kind == PoolingKind.Mean ? new double[hidden] : [];
        _rows = new float[pooling.Kind == PoolingKind.Positions ? pooling.Positions.Count : 1][];
    }

    /// <summary>The first position whose hidden state is wanted; what lies before it may come from the prefix cache.</summary>
    public int FirstPosition => _pooling.Kind switch
    {
        PoolingKind.Mean => 0,
        PoolingKind.Last => _length - 1,
        _ => _pooling.Positions[0],
    };

    /// <summary>Whether all that is wanted is there.</summary>
    public bool Complete => _taken == (_pooling.Kind == PoolingKind.Mean ? _length : _rows.Length);

    public void Reset()
    {
        _taken = 0;
        Array.Clear(_sum);
    }

    /// <summary>Lists the positions wanted among start .. start+count-1.</summary>
    public void Want(int start, int count, List<int> positions)
    {
        switch (_pooling.Kind)
        {
            case PoolingKind.Mean:
                for (int i = start; i < start + count; i++) positions.Add(i);
                break;
            case PoolingKind.Last:
                if (start + count == _length) positions.Add(_length - 1);
                break;
            default:
                for (int i = _taken; i < _rows.Length && _pooling.Positions[i] < start + count; i++) positions.Add(_pooling.Positions[i]);
                break;
        }
    }

    /// <summary>Takes the hidden state of the next wanted position.</summary>
    public void Take(ReadOnlySpan<float> hidden)
    {
        if (_pooling.Kind == PoolingKind.Mean)
            for (int i = 0; i < _hidden; i++) _sum[i] += hidden[i];
        else _rows[_taken] = hidden.ToArray();
        _taken++;
    }

    /// <summary>One row, or one a position.</summary>
    public float[][] Rows()
    {
        if (!Complete) throw new InvalidOperationException($"{_taken} hidden states are there, and more are wanted");
        if (_pooling.Kind != PoolingKind.Mean) return _rows;
        var mean = new float[_hidden];
        for (int i = 0; i < _hidden; i++) mean[i] = (float)(_sum[i] / _length);
        return [mean];
    }
}
