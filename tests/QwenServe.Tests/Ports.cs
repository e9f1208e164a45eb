using System.Net;
using System.Net.Sockets;

namespace QwenServe.Tests;

/// <summary>
/// Ports for programs that must be told one, such as a proxy or a server that restarts on the same address. They lie below the range from
/// which the system numbers outgoing connections: a port from there may be taken by any client between the choice and the bind, and a
/// client that polls a port nobody listens on may even be connected to itself. A lock file for each keeps other test runs away.
/// </summary>
internal static class Ports
{
    private const int First = 20_000, Last = 32_000;

    private static readonly List<FileStream> Held = [];

    /// <summary>Ports that nobody listens on and that no other caller gets while this process lives.</summary>
    public static int[] Take(int count) => [.. Enumerable.Range(0, count).Select(_ => TakeOne())];

    private static int TakeOne()
    {
        string folder = Path.Combine(Path.GetTempPath(), "qwenserve-test-ports");
        Directory.CreateDirectory(folder);
        for (int attempt = 0; attempt < 10_000; attempt++)
        {
            int port = Random.Shared.Next(First, Last);
            FileStream claim;
            try
            {
                claim = new FileStream(Path.Combine(folder, $"{port}"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException)
            {
                continue; // Another test has it.
            }
            try
            {
                using var listener = new TcpListener(IPAddress.Loopback, port);
                listener.Start();
            }
            catch (SocketException)
            {
                claim.Dispose();
                continue; // Some other program has it.
            }
            lock (Held) Held.Add(claim);
            return port;
        }
        throw new InvalidOperationException($"no port between {First} and {Last} is free");
    }
}
