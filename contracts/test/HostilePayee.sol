// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title A payee that calls back while it is being paid, or refuses to be paid
contract HostilePayee {
    bool private _refuses;
    bytes[] private _answers;
    uint256 private _payments;
    uint256 private _received;
    uint256 private _successes;

    /// @notice This payee refuses payments.
    error Refused();

    /// @notice A payment is answered with all the calls that were prepared.
    receive() external payable {
        _receive();
    }

    /// @notice Refuse payments from now on, or take them again.
    /// @param refuses Whether to refuse.
    function setRefuses(bool refuses) external {
        _refuses = refuses;
    }

    /// @notice Prepare a call to make to whoever pays, during the payment.
    /// @param data Selector and arguments.
    function prepare(bytes calldata data) external {
        _answers.push(data);
    }

    /// @notice Call a contract in this contract's name.
    /// @param target The contract.
    /// @param data Selector and arguments.
    /// @return What it returns.
    function perform(address target, bytes calldata data) external payable returns (bytes memory) {
        (bool done, bytes memory returned) = target.call{value: msg.value}(data);
        if (!done) {
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                revert(add(returned, 32), mload(returned))
            }
        }
        return returned;
    }

    /// @notice What came of it.
    /// @return payments How often this contract was paid.
    /// @return received Wei that it was paid in all.
    /// @return successes How many of the prepared calls went through.
    function loot() external view returns (uint256 payments, uint256 received, uint256 successes) {
        return (_payments, _received, _successes);
    }

    function _receive() private {
        require(!_refuses, Refused());
        ++_payments;
        _received += msg.value;
        uint256 count = _answers.length;
        for (uint256 i = 0; i < count; ++i) {
            // solhint-disable-next-line avoid-low-level-calls
            (bool done, ) = msg.sender.call(_answers[i]);
            if (done) ++_successes;
        }
    }
}
