# omk does not run on Windows: it ends what agents start with Linux's and macOS's own means. This says how to go on.
$hints = @(
    "use 'runs-on: ubuntu-latest' or a macOS runner for the job that uses omk",
    "a Windows job can build and test what omk made: it needs the job's outputs, not omk itself",
    "on a machine of your own, run omk in WSL: scripts/install.sh works there"
)
if ($env:GITHUB_ACTIONS -eq 'true') { Write-Output '::error title=omk could not be installed::omk does not run on Windows' }
[Console]::Error.WriteLine('omk: error: omk does not run on Windows')
foreach ($hint in $hints) { [Console]::Error.WriteLine("  hint: $hint") }
exit 1
