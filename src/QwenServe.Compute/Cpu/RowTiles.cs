using System.Runtime.Intrinsics;
using QwenServe.Compute.Cpu.Kernels;

namespace QwenServe.Compute.Cpu;

/// <summary>How the rows of a product are cut into register tiles. A tile may be larger than the rows it holds.</summary>
internal sealed class RowTiles(int maxRows)
{
    private readonly int[] _first = new int[maxRows + 1];
    private readonly int[] _padded = new int[maxRows + 1];
    private readonly int[] _size = new int[maxRows];

    /// <summary>Rows of the largest tile on this machine.</summary>
    public static int Largest => Vector512.IsHardwareAccelerated ? V512.TileRows
        : Vector256.IsHardwareAccelerated ? V256.TileRows
        : Vector128.IsHardwareAccelerated ? V128.TileRows
        : V32.TileRows;

    public int Count { get; private set; }

    public int Rows { get; private set; }

    /// <summary>Rows with the padding of all tiles.</summary>
    public int PaddedRows => _padded[Count];

    /// <summary>First row of a tile.</summary>
    public int First(int tile) => _first[tile];

    /// <summary>Rows in a tile, the padding left out.</summary>
    public int Valid(int tile) => _first[tile + 1] - _first[tile];

    /// <summary>Rows of a tile with its padding: 1, 2, 4, 6, 8 or 12.</summary>
    public int Size(int tile) => _size[tile];

    /// <summary>Padded rows before a tile.</summary>
    public int PaddedFirst(int tile) => _padded[tile];

    /// <summary>Padded rows that any number of rows up to the one given can take.</summary>
    public static int MaxPadded(int rows) => rows + 2 * Largest;

    public void Cut(int rows)
    {
        Rows = rows;
        Count = 0;
        int first = 0;
        while (first < rows)
        {
            int left = rows - first;
            // Two even tiles keep more of the registers busy than a full one and a rest.
            int take = left >= 2 * Largest || left <= Largest ? Math.Min(left, Largest) : (left + 1) / 2;
            int size = Math.Min(Tile.RoundUp(take), Largest);
            take = Math.Min(size, left);
            _first[Count] = first;
            _size[Count] = size;
            _padded[Count + 1] = _padded[Count] + size;
            Count++;
            first += take;
        }
        _first[Count] = rows;
    }
}
