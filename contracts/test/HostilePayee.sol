// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IPullPayments} from "../interfaces/IPullPayments.sol";

/// @title A payee that withdraws again while it is being paid, or refuses to be paid
contract HostilePayee {
    bool private _refuses;
    uint256 private _payments;
    uint256 private _stolen;

    /// @notice This payee refuses payments.
    error Refused();

    /// @notice A payment is answered with a second withdrawal.
    receive() external payable {
        _receive();
    }

    /// @notice Refuse payments from now on, or take them again.
    /// @param refuses Whether to refuse.
    function setRefuses(bool refuses) external {
        _refuses = refuses;
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
    /// @return stolen Wei that a withdrawal within a payment was paid.
    function loot() external view returns (uint256 payments, uint256 stolen) {
        return (_payments, _stolen);
    }

    function _receive() private {
        require(!_refuses, Refused());
        ++_payments;
        try IPullPayments(msg.sender).withdraw() returns (uint256 amount) {
            _stolen += amount;
        } catch {
            return;
        }
    }
}
