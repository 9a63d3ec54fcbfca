"""Settings of the path from raw EMG to features."""

from __future__ import annotations

from dataclasses import dataclass

from emghand.settings import SettingsError, check, setting

MONTAGES = ("single", "differential", "both")
TRANSFORMS = ("none", "sqrt", "log")
FEATURES = (
    *("mav", "iav", "rms", "var", "wl", "zc", "ssc"),
    *("logvar", "wamp", "activity", "mobility", "complexity", "ar", "mnf", "mdf"),
)


@dataclass(frozen=True)
class FeatureSettings:
    """From raw EMG to `z_f`: filters, channels, window, features, live-signal guard.

    Another value of any of them but the guard's makes another feature space: a decoder trained on
    one does not fit the other.

    Raises
    ------
    SettingsError
        When a value is out of range or two of them contradict each other.
    """

    hop: int = setting(
        16, "Samples between two decoder ticks.", unit="samples", low=2, high=4096, live=False
    )
    window_hops: int = setting(
        19, "Length of the feature window.", unit="hops", low=2, high=4096, live=False
    )
    bandpass_low: float = setting(
        15.0, "Lower edge of the band-pass; 0: none.", unit="Hz", low=0.0, live=False
    )
    bandpass_high: float = setting(
        375.0,
        "Upper edge of the band-pass, clipped below the Nyquist frequency; 0: none.",
        unit="Hz",
        low=0.0,
        live=False,
    )
    filter_order: int = setting(
        4, "Order of the Butterworth prototype of the band-pass.", low=1, high=8, live=False
    )
    notch_hz: float = setting(
        50.0, "Mains frequency to remove; 0: no notches.", unit="Hz", low=0.0, live=False
    )
    notch_harmonics: int = setting(
        3,
        "Number of notches: the mains frequency and its next multiples, below Nyquist.",
        low=1,
        high=40,
        live=False,
    )
    notch_q: float = setting(
        30.0, "Quality factor of a notch: its frequency over its -3 dB width.", low=1.0, live=False
    )
    montage: str = setting(
        "single",
        "Channels: as they come, all differences of two, or both.",
        choices=MONTAGES,
        live=False,
    )
    channel_map: tuple[str, ...] = setting(
        (),
        "Channels of the device to use, in this order, renamed where written device=name; "
        "empty: all as they come.",
        live=False,
    )
    bad_channels: tuple[str, ...] = setting(
        (), "Names of channels that are left out, with every pair that holds one.", live=False
    )
    features: tuple[str, ...] = setting(
        ("mav",), "Features of each channel.", choices=FEATURES, live=False
    )
    transform: str = setting(
        "none",
        "Applied to features that are amplitudes or counts.",
        choices=TRANSFORMS,
        live=False,
    )
    zc_threshold: float = setting(
        0.0,
        "Smallest step that counts as a zero crossing, in the unit of the signal.",
        low=0.0,
        live=False,
    )
    ssc_threshold: float = setting(
        0.0,
        "Smallest step that counts as a slope sign change, in the unit of the signal.",
        low=0.0,
        live=False,
    )
    wamp_threshold: float = setting(
        0.0,
        "Smallest step that the Willison amplitude counts, in the unit of the signal.",
        low=0.0,
        live=False,
    )
    max_fill_s: float = setting(
        0.020,
        "Gaps up to this long are filled by a straight line; longer ones reset the window.",
        unit="s",
        low=0.0,
        high=1.0,
        live=False,
    )
    guard_hold_s: float = setting(
        0.3,
        "A fault of the signal must last this long, and at least 32 samples, to be flagged.",
        unit="s",
        low=0.0,
        high=60.0,
        live=False,
    )
    guard_fraction: float = setting(
        0.5,
        "Share of the channels that must be bad at once for a tick to be flagged.",
        low=0.0,
        high=1.0,
        live=False,
    )
    guard_flat: float = setting(
        0.0,
        "Peak-to-peak up to this counts as flat, in the unit of the signal; 0: exactly constant.",
        low=0.0,
        live=False,
    )
    guard_railed: float = setting(
        0.98,
        "A sample beyond this share of the full scale counts as railed; 0: off.",
        low=0.0,
        high=1.0,
        live=False,
    )
    guard_mains: float = setting(
        0.99,
        "Mains dominates when the notches remove more than this share of the power; 1: off.",
        low=0.5,
        high=1.0,
        live=False,
    )
    guard_frozen: bool = setting(
        True, "Flag a stream that repeats its last blocks exactly.", live=False
    )

    def __post_init__(self) -> None:
        check(self)
        low, high = self.bandpass_low, self.bandpass_high
        if low and high and low >= high:
            raise SettingsError(f"bandpass_low: {low} Hz must be below bandpass_high, {high} Hz")
        if not self.features or len(set(self.features)) != len(self.features):
            raise SettingsError("features: name at least one, and each once")
        if "wamp" in self.features and not self.wamp_threshold:
            raise SettingsError("wamp_threshold: the feature wamp needs one above 0")
        if len(set(self.bad_channels)) != len(self.bad_channels):
            raise SettingsError("bad_channels: name each channel once")

    @property
    def window(self) -> int:
        """Samples in the feature window."""
        return self.hop * self.window_hops
